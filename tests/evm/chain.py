"""A chain of a test's own: anvil, mining when told to, and contracts on it."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from mevflow.processes.addresses import free_port
from mevflow.sources.evm.contracts import ContractCall, address, number
from mevflow.sources.evm.rpc import CallError, EndpointSettings, NodeError, RpcNode
from tests.evm.npm import anvil

GAS = 15_000_000


class Chain:
    """A running node. Transactions wait in its pool until :meth:`mine`; ``account`` pays for all of them."""

    def __init__(self, chain_id: int = 31337) -> None:
        port = free_port()
        self.url, self.ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
        command = [anvil(), "--port", str(port), "--no-mining", "--silent", "--order", "fifo", "--accounts", "4"]
        command += ["--chain-id", str(chain_id)]
        command += ["--block-base-fee-per-gas", "1", "--gas-limit", "60000000", "--disable-code-size-limit"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.node = RpcNode(EndpointSettings(url=self.url, max_rps=1e6))
        while True:
            try:
                self.account, *self.others = self.ask("eth_accounts")
                break
            except NodeError:
                if self._process.poll() is not None:
                    raise RuntimeError(f"anvil ended with {self._process.returncode}") from None
                time.sleep(0.05)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, method: str, *params: Any) -> Any:
        return msgspec.json.decode(self.node.call(method, *params))

    def mine(self, blocks: int = 1) -> int:
        """Mine what waits; the number of the newest block, once the node says it."""
        want = self.head() + blocks
        for _ in range(blocks):
            self.ask("evm_mine")
        while (head := self.head()) < want:
            time.sleep(0.005)
        return head

    def head(self) -> int:
        return int(self.ask("eth_blockNumber"), 16)

    def send(self, to: bytes | None, data: str, sender: str | None = None) -> str:
        """A transaction's hash; it is not mined yet."""
        transaction = {"from": sender or self.account, "data": data, "gas": hex(GAS)}
        if to is not None:
            transaction["to"] = "0x" + to.hex()
        return str(self.ask("eth_sendTransaction", transaction))

    def receipt(self, transaction: str) -> dict[str, Any]:
        """Of a transaction in a mined block."""
        while (found := self.ask("eth_getTransactionReceipt", transaction)) is None:
            time.sleep(0.005)
        return dict(found)

    def deploy(self, code: bytes, *words: int) -> bytes:
        """Create a contract; its address."""
        arguments = b"".join(word.to_bytes(32, "big") for word in words)
        transaction = self.send(None, "0x" + (code + arguments).hex())
        self.mine()
        receipt = self.receipt(transaction)
        assert receipt["status"] == "0x1", receipt
        return bytes.fromhex(receipt["contractAddress"][2:])

    def do(self, to: bytes, function: str, *words: int, tail: str = "", sender: str | None = None) -> str:
        """Call a function by a transaction that waits to be mined. ``tail`` is words in hexadecimal."""
        return self.send(to, ContractCall(to, function, words).data() + tail, sender)

    def read(self, to: bytes, function: str, *words: int, block: int | str = "latest") -> bytes:
        """A function's answer. Raises CallError when it reverts."""
        at = hex(block) if isinstance(block, int) else block
        asked = {"to": "0x" + to.hex(), "data": ContractCall(to, function, words).data()}
        return bytes.fromhex(self.ask("eth_call", asked, at)[2:])

    def number(self, to: bytes, function: str, *words: int, block: int | str = "latest") -> int:
        found = number(self.read(to, function, *words, block=block))
        assert found is not None
        return found

    def address(self, to: bytes, function: str, *words: int) -> bytes:
        found = address(self.read(to, function, *words))
        assert found is not None
        return found


def word(value: bytes | str | int) -> int:
    """An address or a number as a word."""
    if isinstance(value, int):
        return value
    return int(value, 16) if isinstance(value, str) else int.from_bytes(value, "big")


@dataclass(frozen=True)
class Pool:
    """A pool of a test's world. ``fee_pips`` 0: a pair."""

    address: bytes
    token0: bytes
    token1: bytes
    fee_pips: int = 0


__all__ = ["CallError", "Chain", "Pool", "word"]
