# @version 0.3.10
# Executes a cycle, leg by leg, by the pools themselves. It exists only in simulated calls.

struct Leg:
    pool: address
    token_in: address
    token_out: address
    call: uint256  # PAIR, CONCENTRATED or CURVE
    amount_out: uint256  # what a pair is asked for; it reverts when that is too much

CONCENTRATED: constant(uint256) = 1
CURVE: constant(uint256) = 2

paying: address


@internal
def _balance(token: address) -> uint256:
    said: Bytes[32] = raw_call(
        token, _abi_encode(self, method_id=method_id("balanceOf(address)")), max_outsize=32, is_static_call=True
    )
    return convert(said, uint256)


@internal
def _pay(token: address, to: address, amount: uint256):
    # Some tokens answer nothing, others a bool: what the pool then holds is what counts.
    raw_call(token, _abi_encode(to, amount, method_id=method_id("transfer(address,uint256)")))


@internal
def _exchange(leg: Leg, amount: uint256):
    # Curve's pools take what they are allowed, and name coins by their numbers.
    sold: int128 = -1
    bought: int128 = -1
    for number in range(8):
        said: Bytes[32] = raw_call(
            leg.pool,
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
    raw_call(leg.token_in, _abi_encode(leg.pool, amount, method_id=method_id("approve(address,uint256)")))
    least: uint256 = 0
    raw_call(
        leg.pool,
        _abi_encode(sold, bought, amount, least, method_id=method_id("exchange(int128,int128,uint256,uint256)")),
    )


@external
def run(amount: uint256, legs: DynArray[Leg, 8]) -> DynArray[uint256, 8]:
    outs: DynArray[uint256, 8] = []
    given: uint256 = amount
    nothing: Bytes[1] = b""
    for leg in legs:
        before: uint256 = self._balance(leg.token_out)
        up: bool = convert(leg.token_in, uint160) < convert(leg.token_out, uint160)
        if leg.call == CURVE:
            self._exchange(leg, given)
        elif leg.call == CONCENTRATED:
            self.paying = leg.token_in
            limit: uint160 = 1461446703485210103287273052203988822378723970341
            if up:
                limit = 4295128740
            raw_call(
                leg.pool,
                _abi_encode(
                    self, up, convert(given, int256), limit, nothing,
                    method_id=method_id("swap(address,bool,int256,uint160,bytes)"),
                ),
            )
        else:
            self._pay(leg.token_in, leg.pool, given)
            out0: uint256 = leg.amount_out
            out1: uint256 = 0
            if up:
                out0 = 0
                out1 = leg.amount_out
            raw_call(
                leg.pool,
                _abi_encode(out0, out1, self, nothing, method_id=method_id("swap(uint256,uint256,address,bytes)")),
            )
        given = self._balance(leg.token_out) - before
        outs.append(given)
    return outs


@external
def __default__():
    # The callback of a concentrated pool, whatever its fork calls it: two signed amounts, of which one is owed.
    owed: int256 = max(
        convert(convert(slice(msg.data, 4, 32), bytes32), int256), convert(convert(slice(msg.data, 36, 32), bytes32), int256)
    )
    self._pay(self.paying, msg.sender, convert(owed, uint256))
