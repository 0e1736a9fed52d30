# @version 0.3.10
# Executes a cycle, leg by leg, by the pools themselves. It exists only in simulated calls.

struct Leg:
    contract: address  # the pool, or who holds it: Balancer's vault, the manager of v4
    token_in: address  # zero is the chain's own currency
    token_out: address
    call: uint256  # PAIR, CONCENTRATED, CURVE, VAULT or MANAGER
    amount_out: uint256  # what a pair is asked for; it reverts when that is too much
    id: bytes32  # of a pool of the vault
    fee: uint256  # of a pool of the manager, as its key has it, and its tick spacing
    spacing: int256

struct VaultSwap:
    id: bytes32
    kind: uint256
    token_in: address
    token_out: address
    amount: uint256
    data: Bytes[1]

struct Funds:
    sender: address
    sender_inside: bool
    recipient: address
    recipient_inside: bool

struct PoolKey:
    currency0: address
    currency1: address
    fee: uint256
    spacing: int256
    hooks: address

struct ManagerSwap:
    up: bool
    amount: int256
    limit: uint160

CONCENTRATED: constant(uint256) = 1
CURVE: constant(uint256) = 2
VAULT: constant(uint256) = 3
MANAGER: constant(uint256) = 4
# Beside the least and the greatest price that a pool can have.
LOWEST: constant(uint160) = 4295128740
HIGHEST: constant(uint160) = 1461446703485210103287273052203988822378723970341

paying: address
leg: Leg
given: uint256


@internal
@view
def _balance(token: address) -> uint256:
    if token == empty(address):
        return self.balance
    said: Bytes[32] = raw_call(
        token, _abi_encode(self, method_id=method_id("balanceOf(address)")), max_outsize=32, is_static_call=True
    )
    return convert(said, uint256)


@internal
def _pay(token: address, to: address, amount: uint256):
    # Some tokens answer nothing, others a bool: what the pool then holds is what counts.
    raw_call(token, _abi_encode(to, amount, method_id=method_id("transfer(address,uint256)")))


@internal
def _allow(token: address, who: address, amount: uint256):
    raw_call(token, _abi_encode(who, amount, method_id=method_id("approve(address,uint256)")))


@internal
@pure
def _up(leg: Leg) -> bool:
    return convert(leg.token_in, uint160) < convert(leg.token_out, uint160)


@internal
@pure
def _limit(up: bool) -> uint160:
    if up:
        return LOWEST
    return HIGHEST


@internal
def _swap_pair(leg: Leg, amount: uint256):
    nothing: Bytes[1] = b""
    self._pay(leg.token_in, leg.contract, amount)
    out0: uint256 = leg.amount_out
    out1: uint256 = 0
    if self._up(leg):
        out0 = 0
        out1 = leg.amount_out
    raw_call(
        leg.contract,
        _abi_encode(out0, out1, self, nothing, method_id=method_id("swap(uint256,uint256,address,bytes)")),
    )


@internal
def _swap_concentrated(leg: Leg, amount: uint256):
    nothing: Bytes[1] = b""
    self.paying = leg.token_in
    up: bool = self._up(leg)
    raw_call(
        leg.contract,
        _abi_encode(
            self, up, convert(amount, int256), self._limit(up), nothing,
            method_id=method_id("swap(address,bool,int256,uint160,bytes)"),
        ),
    )


@internal
def _exchange(leg: Leg, amount: uint256):
    # Curve's pools take what they are allowed, and name coins by their numbers.
    sold: int128 = -1
    bought: int128 = -1
    for number in range(8):
        said: Bytes[32] = raw_call(
            leg.contract,
            _abi_encode(number, method_id=method_id("coins(uint256)")),
            max_outsize=32,
            is_static_call=True,
        )
        coin: address = convert(convert(said, uint256), address)
        if coin == leg.token_in:
            sold = convert(number, int128)
        if coin == leg.token_out:
            bought = convert(number, int128)
        if sold >= 0 and bought >= 0:
            break
    self._allow(leg.token_in, leg.contract, amount)
    least: uint256 = 0
    raw_call(
        leg.contract,
        _abi_encode(sold, bought, amount, least, method_id=method_id("exchange(int128,int128,uint256,uint256)")),
    )


@internal
def _swap_in_vault(leg: Leg, amount: uint256):
    self._allow(leg.token_in, leg.contract, amount)
    one: VaultSwap = VaultSwap({
        id: leg.id, kind: 0, token_in: leg.token_in, token_out: leg.token_out, amount: amount, data: b""
    })
    funds: Funds = Funds({sender: self, sender_inside: False, recipient: self, recipient_inside: False})
    least: uint256 = 0
    raw_call(
        leg.contract,
        _abi_encode(
            one, funds, least, max_value(uint256),
            method_id=method_id(
                "swap((bytes32,uint8,address,address,uint256,bytes),(address,bool,address,bool),uint256,uint256)"
            ),
        ),
    )


@external
def run(amount: uint256, legs: DynArray[Leg, 8]) -> DynArray[uint256, 8]:
    outs: DynArray[uint256, 8] = []
    given: uint256 = amount
    nothing: Bytes[1] = b""
    for leg in legs:
        before: uint256 = self._balance(leg.token_out)
        if leg.call == MANAGER:
            # It calls back, and only then lets itself be swapped with.
            self.leg = leg
            self.given = given
            raw_call(leg.contract, _abi_encode(nothing, method_id=method_id("unlock(bytes)")))
        elif leg.call == VAULT:
            self._swap_in_vault(leg, given)
        elif leg.call == CURVE:
            self._exchange(leg, given)
        elif leg.call == CONCENTRATED:
            self._swap_concentrated(leg, given)
        else:
            self._swap_pair(leg, given)
        given = self._balance(leg.token_out) - before
        outs.append(given)
    return outs


@external
def unlockCallback(data: Bytes[32]) -> Bytes[1]:
    # The manager's: swap, pay what went in, take what came out.
    leg: Leg = self.leg
    nothing: Bytes[1] = b""
    up: bool = self._up(leg)
    key: PoolKey = PoolKey({
        currency0: leg.token_out, currency1: leg.token_in, fee: leg.fee, spacing: leg.spacing, hooks: empty(address)
    })
    if up:
        key.currency0 = leg.token_in
        key.currency1 = leg.token_out
    asked: ManagerSwap = ManagerSwap({up: up, amount: -convert(self.given, int256), limit: self._limit(up)})
    said: Bytes[32] = raw_call(
        msg.sender,
        _abi_encode(
            key, asked, nothing,
            method_id=method_id("swap((address,address,uint24,int24,address),(bool,int256,uint160),bytes)"),
        ),
        max_outsize=32,
    )
    # Two signed amounts in one word: of token 0, and in the low half of token 1.
    moved: uint256 = convert(said, uint256)
    of0: uint256 = moved >> 128
    of1: uint256 = moved & convert(max_value(uint128), uint256)
    owed: uint256 = of1
    got: uint256 = of0
    if up:
        owed = of0
        got = of1
    owed = (1 << 128) - owed
    raw_call(msg.sender, _abi_encode(leg.token_in, method_id=method_id("sync(address)")))
    if leg.token_in == empty(address):
        raw_call(msg.sender, method_id("settle()"), value=owed)
    else:
        self._pay(leg.token_in, msg.sender, owed)
        raw_call(msg.sender, method_id("settle()"))
    raw_call(
        msg.sender,
        _abi_encode(leg.token_out, self, got, method_id=method_id("take(address,address,uint256)")),
    )
    return nothing


@external
@payable
def __default__():
    if len(msg.data) == 0:
        return  # the chain's own currency
    # The callback of a concentrated pool, whatever its fork calls it: two signed amounts, of which one is owed.
    owed: int256 = max(
        convert(convert(slice(msg.data, 4, 32), bytes32), int256), convert(convert(slice(msg.data, 36, 32), bytes32), int256)
    )
    self._pay(self.paying, msg.sender, convert(owed, uint256))
