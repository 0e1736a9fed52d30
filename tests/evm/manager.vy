# @version 0.3.10
# Holds a pool as Uniswap v4's manager does, tells its key, and swaps at a fixed price: a test's own.

struct PoolKey:
    currency0: address
    currency1: address
    fee: uint24
    spacing: int24
    hooks: address

struct ManagerSwap:
    up: bool
    amount: int256
    limit: uint160

key: PoolKey
currency: address
synced: uint256
owed: uint256
due: uint256
unlocked: bool


@external
@payable
def __init__(currency0: address, currency1: address, fee: uint24, spacing: int24):
    self.key = PoolKey({
        currency0: currency0, currency1: currency1, fee: fee, spacing: spacing, hooks: empty(address)
    })


@internal
@view
def _held(currency: address) -> uint256:
    said: Bytes[32] = raw_call(
        currency, _abi_encode(self, method_id=method_id("balanceOf(address)")), max_outsize=32, is_static_call=True
    )
    return convert(said, uint256)


@external
@view
def poolKeys(id: bytes25) -> PoolKey:
    return self.key


@external
def unlock(data: Bytes[32]):
    self.unlocked = True
    raw_call(msg.sender, _abi_encode(data, method_id=method_id("unlockCallback(bytes)")))
    self.unlocked = False
    assert self.owed == 0 and self.due == 0


@external
def swap(key: PoolKey, asked: ManagerSwap, data: Bytes[32]) -> int256:
    assert self.unlocked and key.currency0 == self.key.currency0 and key.currency1 == self.key.currency1
    assert key.fee == self.key.fee and key.spacing == self.key.spacing and key.hooks == empty(address)
    self.owed = convert(-asked.amount, uint256)
    self.due = self.owed * 997 / 1000
    paid: uint256 = (1 << 128) - self.owed
    moved: uint256 = (self.due << 128) | paid
    if asked.up:
        moved = (paid << 128) | self.due
    return convert(convert(moved, bytes32), int256)


@external
def sync(currency: address):
    self.currency = currency
    if currency != empty(address):
        self.synced = self._held(currency)


@external
@payable
def settle() -> uint256:
    paid: uint256 = msg.value
    if self.currency != empty(address):
        paid = self._held(self.currency) - self.synced
    self.owed -= paid
    return paid


@external
def take(currency: address, to: address, amount: uint256):
    self.due -= amount
    if currency == empty(address):
        raw_call(to, b"", value=amount)
    else:
        raw_call(currency, _abi_encode(to, amount, method_id=method_id("transfer(address,uint256)")))
