"""Tokens, Uniswap v2 and v3 on a test's chain, and what people do there: all by the real routers."""

from __future__ import annotations

import random
from itertools import combinations

from tests.evm.chain import Chain, Pool, word
from tests.evm.npm import bytecode

SUPPLY = 10**33
FOREVER = 1 << 40
#: Fee -> tick spacing, as the factory has them.
SPACINGS = {100: 1, 500: 10, 3000: 60, 10_000: 200}
_Q96 = 1 << 96


class World:
    """Three tokens, a pair for every two of them, and concentrated pools with positions."""

    def __init__(self, chain: Chain, fees: tuple[int, ...] = (500, 3000)) -> None:
        self.chain = chain
        me = word(chain.account)
        self.tokens = sorted(chain.deploy(bytecode("v2-core/ERC20"), SUPPLY) for _ in range(3))
        weth = word(self.tokens[0])
        self.v2 = chain.deploy(bytecode("v2-core/UniswapV2Factory"), me)
        self.router2 = chain.deploy(bytecode("v2-periphery/UniswapV2Router02"), word(self.v2), weth)
        self.v3 = chain.deploy(bytecode("v3-core/UniswapV3Factory"))
        self.router3 = chain.deploy(bytecode("v3-periphery/SwapRouter"), word(self.v3), weth)
        self.positions = chain.deploy(bytecode("v3-periphery/NonfungiblePositionManager"), word(self.v3), weth, weth)
        self.quoter = chain.deploy(bytecode("v3-periphery/QuoterV2"), word(self.v3), weth)
        if 100 in fees:
            chain.do(self.v3, "enableFeeAmount(uint24,int24)", 100, 1)
        for token in self.tokens:
            for spender in (self.router2, self.router3, self.positions):
                chain.do(token, "approve(address,uint256)", word(spender), (1 << 256) - 1)
        chain.mine()
        self.ids: list[tuple[int, int]] = []
        self.pairs: list[Pool] = []
        self.concentrated: list[Pool] = []
        for a, b in combinations(self.tokens, 2):
            self.provide(a, b, 10**24, 2 * 10**24)
            chain.mine()
            self.pairs.append(Pool(chain.address(self.v2, "getPair(address,address)", word(a), word(b)), a, b))
        for fee in fees:
            a, b = self.tokens[:2]
            self.create(a, b, fee, int((2**0.5) * _Q96))
            width = 6000 // SPACINGS[fee] * SPACINGS[fee]
            self.mint(a, b, fee, -width, 3 * width, 10**24)
            chain.mine()

    def provide(self, a: bytes, b: bytes, amount_a: int, amount_b: int) -> None:
        self.chain.do(
            self.router2,
            "addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)",
            *(word(a), word(b), amount_a, amount_b, 0, 0, word(self.chain.account), FOREVER),
        )

    def create(self, a: bytes, b: bytes, fee: int, sqrt_price_x96: int) -> None:
        self.chain.do(
            self.positions,
            "createAndInitializePoolIfNecessary(address,address,uint24,uint160)",
            *(word(a), word(b), fee, sqrt_price_x96),
        )
        self.chain.mine()
        pool = self.chain.address(self.v3, "getPool(address,address,uint24)", word(a), word(b), fee)
        self.concentrated.append(Pool(pool, a, b, fee))

    def mint(self, a: bytes, b: bytes, fee: int, lower: int, upper: int, amount: int) -> None:
        """A position of at most ``amount`` of either token."""
        self.chain.do(
            self.positions,
            "mint((address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256))",
            *(word(a), word(b), fee, lower, upper, amount, amount, 0, 0, word(self.chain.account), FOREVER),
        )

    def burn(self, position: int, liquidity: int) -> None:
        self.chain.do(
            self.positions,
            "decreaseLiquidity((uint256,uint128,uint256,uint256,uint256))",
            *(position, liquidity, 0, 0, FOREVER),
        )

    def swap2(self, token_in: bytes, token_out: bytes, amount: int) -> None:
        path = [0xA0, word(self.chain.account), FOREVER, 2, word(token_in), word(token_out)]
        self.chain.do(
            self.router2,
            "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)",
            *(amount, 0, *path),
        )

    def swap3(self, token_in: bytes, token_out: bytes, fee: int, amount: int) -> None:
        self.chain.do(
            self.router3,
            "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
            *(word(token_in), word(token_out), fee, word(self.chain.account), FOREVER, amount, 0, 0),
        )

    def swap(self, pool: bytes, token_in: bytes, token_out: bytes, amount: int) -> None:
        """Through any pool of this world, by its own router."""
        for one in self.concentrated:
            if one.address == pool:
                return self.swap3(token_in, token_out, one.fee_pips, amount)
        return self.swap2(token_in, token_out, amount)

    def balance(self, token: bytes) -> int:
        return self.chain.number(token, "balanceOf(address)", word(self.chain.account))

    def act(self, chance: random.Random) -> None:
        """Something that people do, at random; it waits to be mined."""
        amount = int(10 ** chance.uniform(18, 23))
        kind = chance.random()
        if kind < 0.45:
            pool = chance.choice(self.pairs)
            self.swap2(*chance.sample([pool.token0, pool.token1], 2), amount)
        elif kind < 0.85:
            pool = chance.choice(self.concentrated)
            self.swap3(*chance.sample([pool.token0, pool.token1], 2), pool.fee_pips, amount)
        elif kind < 0.92:
            pool = chance.choice(self.pairs)
            self.provide(pool.token0, pool.token1, amount, amount * 2)
        else:
            pool = chance.choice(self.concentrated)
            spacing = SPACINGS[pool.fee_pips]
            lower = chance.randrange(-3000, 6000) // spacing * spacing
            upper = lower + chance.randrange(1, 3000 // spacing + 2) * spacing
            self.mint(pool.token0, pool.token1, pool.fee_pips, lower, upper, amount)
