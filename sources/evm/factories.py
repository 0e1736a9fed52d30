"""Factories whose pools are known to keep to their venue's rules. Users add theirs in a topology's settings.

Addresses and fees are those that the projects publish: docs.uniswap.org (deployments), docs.pancakeswap.finance,
docs.sushi.com, github.com/aerodrome-finance/contracts, github.com/velodrome-finance/contracts and /slipstream,
github.com/curvefi/stableswap-ng (scripts) and /curve-factory, github.com/balancer/balancer-deployments. A fork not
listed may charge another fee or log otherwise, so its pools are not taken unasked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from mevflow.operators.parse.evm.pools import EvmPool

#: Makers of Curve's stable-swap pools (of 2021 and NG), and a pool of 2020 that no factory made.
CURVE_KINDS = ("curve", "curve_ng", "curve_pool")


class Factory(BaseModel):
    """A contract that makes pools, holds many (``v4``, ``balancer``), or is one itself (``curve_pool``).

    ``fee_pips`` of a pair's factory is what its pairs charge; others say it by pool.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    address: str
    kind: Literal[
        "pairs", "volatile", "concentrated", "slipstream", "v4", "curve", "curve_ng", "curve_pool", "balancer"
    ]
    fee_pips: int = Field(0, ge=0, lt=1_000_000)
    name: str = ""
    #: Of a v4 pool manager: the position manager, which knows the keys of pools.
    positions: str = ""
    #: Of Balancer's vault: the factories of weighted pools of 2022 and later.
    makers: tuple[str, ...] = ()

    @field_validator("address", "positions")
    @classmethod
    def _twenty_bytes(cls, value: str, info: ValidationInfo) -> str:
        return value if info.field_name == "positions" and not value else _address(value)

    @field_validator("makers")
    @classmethod
    def _each(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_address, value))

    @model_validator(mode="after")
    def _names_its_fee(self) -> Factory:
        if self.kind == "pairs" and not self.fee_pips:
            raise ValueError("a factory of pairs has a fee_pips, what they charge: no contract says it")
        return self

    @property
    def key(self) -> bytes:
        """The address."""
        return bytes.fromhex(self.address[2:])


def _address(value: str) -> str:
    if len(value) != 42 or not value.startswith("0x"):
        raise ValueError("an address of 20 bytes: 0x and 40 digits")
    bytes.fromhex(value[2:])
    return value.lower()


@dataclass(frozen=True, slots=True)
class FoundPools:
    """Pools that can be read, and why others (by address or id) cannot."""

    pools: tuple[EvmPool, ...]
    closed: dict[bytes, str]


def _pairs(name: str, address: str, fee_pips: int) -> Factory:
    return Factory(name=name, address=address, kind="pairs", fee_pips=fee_pips)


def _concentrated(name: str, address: str) -> Factory:
    return Factory(name=name, address=address, kind="concentrated")


def _volatile(name: str, address: str) -> Factory:
    return Factory(name=name, address=address, kind="volatile")


def _slipstream(name: str, address: str) -> Factory:
    return Factory(name=name, address=address, kind="slipstream")


def _v4(address: str, positions: str) -> Factory:
    return Factory(name="Uniswap v4", address=address, kind="v4", positions=positions)


def _balancer(*makers: str) -> Factory:
    """The vault has one address on all chains."""
    vault = "0xba12222222228d8ba445958a75a0704d566bf2c8"
    return Factory(name="Balancer v2", address=vault, kind="balancer", makers=makers)


def _curve_ng(address: str) -> Factory:
    return Factory(name="Curve NG", address=address, kind="curve_ng")


#: By chain id.
KNOWN: dict[int, tuple[Factory, ...]] = {
    1: (
        _pairs("Uniswap v2", "0x5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f", 3000),
        _pairs("SushiSwap", "0xc0aee478e3658e2610c5f7a4a2e1777ce9e4f2ac", 3000),
        _concentrated("Uniswap v3", "0x1f98431c8ad98523631ae4a59f267346ea31f984"),
        _concentrated("PancakeSwap v3", "0x0bfbcf9fa4f9c56b0f40a671ad40e0805a091865"),
        _v4("0x000000000004444c5dc75cb358380d2e3de08a90", "0xbd216513d74c8cf14cf4747e6aaa6420ff64ee9e"),
        Factory(name="Curve 3pool", address="0xbebc44782c7db0a1a60cb6fe97d0b483032ff1c7", kind="curve_pool"),
        Factory(name="Curve", address="0xb9fc157394af804a3578134a6585c0dc9cc990d4", kind="curve"),
        _curve_ng("0x6a8cbed756804b16e05e741edabd5cb544ae21bf"),
        _balancer(
            "0xcc508a455f5b0073973107db6a878ddbdab957bc",
            "0x5dd94da3644ddd055fcf6b3e1aa310bb7801eb8b",
            "0x897888115ada5773e02aa29f775430bfb5f34c51",
        ),
    ),
    56: (
        _pairs("PancakeSwap v2", "0xca143ce32fe78f1f7019d7d551a6402fc5350c73", 2500),
        _concentrated("PancakeSwap v3", "0x0bfbcf9fa4f9c56b0f40a671ad40e0805a091865"),
        _concentrated("Uniswap v3", "0xdb1d10011ad0ff90774d0c6bb92e5c5c8b4461f7"),
        _curve_ng("0xd7e72f3615aa65b92a4dbdc211e296a35512988b"),
    ),
    10: (
        _volatile("Velodrome v2", "0xf1046053aa5682b4f9a81b5481394da16be5ff5a"),
        _slipstream("Velodrome Slipstream", "0xcc0bddb707055e04e497ab22a59c2af4391cd12f"),
        _curve_ng("0x5eee3091f747e60a045a2e715a4c71e600e31f6e"),
        _balancer(
            "0xad901309d9e9dbc5df19c84f729f429f0189a633",
            "0xa0dabebaad1b243bbb243f933013d560819eb66f",
            "0x230a59f4d9adc147480f03b0d3fffecd56c3289a",
        ),
    ),
    137: (
        _concentrated("Uniswap v3", "0x1f98431c8ad98523631ae4a59f267346ea31f984"),
        _curve_ng("0x1764ee18e8b3cca4787249ceb249356192594585"),
        _balancer(
            "0x0e39c3d9b2ec765efd9c5c70bb290b1fcd8536e3",
            "0x82e4cfaef85b1b6299935340c964c942280327f4",
            "0xfc8a407bba312ac761d8bfe04ce1201904842b76",
        ),
    ),
    8453: (
        _pairs("Uniswap v2", "0x8909dc15e40173ff4699343b6eb8132c65e18ec6", 3000),
        _volatile("Aerodrome", "0x420dd381b31aef6683db6b902084cb0ffece40da"),
        _slipstream("Aerodrome Slipstream", "0x5e7bb104d84c7cb9b682aac2f3d509f5f406809a"),
        _v4("0x498581ff718922c3f8e6a244956af099b2652b2b", "0x7c5f5a4bbd8fd63184577525326123b519429bdc"),
        _concentrated("Uniswap v3", "0x33128a8fc17869897dce68ed026d694621f6fdfd"),
        _concentrated("PancakeSwap v3", "0x0bfbcf9fa4f9c56b0f40a671ad40e0805a091865"),
        _curve_ng("0xd2002373543ce3527023c75e7518c274a51ce712"),
        _balancer("0x4c32a8a8fda4e24139b51b456b42290f51d6a1c4"),
    ),
    42161: (
        _v4("0x360e68faccca8ca495c1b759fd9eee466db9fb32", "0xd88f38f930b7952f2db2432cb002e7abbf3dd869"),
        _concentrated("Uniswap v3", "0x1f98431c8ad98523631ae4a59f267346ea31f984"),
        _concentrated("PancakeSwap v3", "0x0bfbcf9fa4f9c56b0f40a671ad40e0805a091865"),
        _curve_ng("0x9af14d26075f142eb3f292d5065eb3faa646167b"),
        _balancer(
            "0x8df6efec5547e31b0eb7d1291b511ff8a2bf987c",
            "0xf1665e19bc105be4edd3739f88315cc699cc5b65",
            "0xc7e5ed1054a24ef31d827e6f86caa58b3bc168d7",
        ),
    ),
}


def managers_of(chain_id: int) -> tuple[Factory, ...]:
    """Uniswap v4's managers of a chain."""
    return tuple(one for one in KNOWN.get(chain_id, ()) if one.kind == "v4")
