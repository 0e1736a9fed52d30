"""``mevflow listen``: what live readers get, as NDJSON."""

from __future__ import annotations

from typing import Any

import click

from mevflow.cli.output import emit_json, json_option, note


@click.command()
@click.option(
    "--channel", "channels", multiple=True, help="Only this channel (decisions, opportunities …); repeatable."
)
@click.option(
    "--pool", "pools", multiple=True, help="Only messages about this pool: base58, or 0x and hex; repeatable."
)
@click.option("--limit", type=click.IntRange(1), help="End after so many messages.")
@json_option
def command(channels: tuple[str, ...], pools: tuple[str, ...], limit: int | None, as_json: bool) -> None:
    """Print live messages, one JSON document a line, until interrupted.

    A gap (messages that came too fast for this reader) is a line with "dropped" alone.
    """
    import asyncio

    from mevflow.flows.config import config
    from mevflow.sinks.websocket.hub.filters import pool_bytes
    from mevflow.sinks.websocket.hub.reader import listen

    web = config().websocket
    wanted = [pool_bytes(text) for text in pools]

    note(f"connecting to ws://{web.host}:{web.port}/ws")
    _tell_of_feeds(web.port, channels)

    async def run() -> None:
        left, connected = limit, False
        async for batch in listen(web.host, web.port, channels, wanted):
            if not connected:  # the hub greets who is subscribed
                connected = True
                note(f"connected; listening to {', '.join(channels) or 'every channel'}, Ctrl-C ends")
            if batch.dropped:
                emit_json({"dropped": batch.dropped, "dropped_total": batch.dropped_total})
            for message in batch.messages:
                emit_json(document(message))
                if left is not None:
                    left -= 1
                    if not left:
                        return
        note("the hub has stopped")

    asyncio.run(run())


def _tell_of_feeds(port: int, channels: tuple[str, ...]) -> None:
    """Say which channels shards feed right now, and which of the wanted ones nobody does."""
    from mevflow.sinks.websocket.hub import hub_status

    found = hub_status(port)
    if found is None:
        return
    fed = sorted({feed["channel"] for feed in found.feeds if feed.get("channel")})
    note(f"channels that are fed: {', '.join(fed) or 'none; deploy a topology with a websocket.sink'}")
    for channel in channels:
        if channel not in fed:
            note(f"nobody feeds {channel} right now")


def document(message: Any) -> dict[str, Any]:
    """A RealtimeMessage for JSON: its payload decoded, addresses and amounts as people write them."""
    from mevflow.operators.codec import message_type
    from mevflow.operators.errors import UsageError

    head = {"channel": message.channel, "type": message.type, "timestamp_us": message.timestamp_us}
    try:
        payload = message_type(message.type).FromString(message.payload)
    except UsageError:
        return {**head, "payload": message.payload.hex()}  # a plug-in's own message type
    return {**head, **_fields(payload, base58_addresses=getattr(payload, "chain", 1) != 2)}


#: Fields that hold little-endian integers, unsigned and in two's complement.
_UNSIGNED = frozenset(
    "amount_in amount_out cost tip reserve_a reserve_b liquidity start_amount end_amount "  # noqa: SIM905
    "sqrt_price_x64 sqrt_price_x96 liquidity_gross".split()
)
_SIGNED = frozenset(("gross_profit", "net_profit", "realized_profit", "profit", "liquidity_delta", "liquidity_net"))


def _fields(payload: Any, base58_addresses: bool) -> dict[str, Any]:
    import base58

    def text(name: str, value: Any) -> Any:
        if hasattr(value, "DESCRIPTOR"):
            return _fields(value, base58_addresses)
        if not isinstance(value, bytes):
            return value
        if name in _UNSIGNED or name in _SIGNED:
            return str(int.from_bytes(value, "little", signed=name in _SIGNED)) if value else None
        if name.endswith("_id"):
            return value.hex()
        return base58.b58encode(value).decode() if base58_addresses else "0x" + value.hex()

    found: dict[str, Any] = {}
    for field, value in payload.ListFields():
        if field.is_repeated:
            found[field.name] = [text(field.name, each) for each in value]
        elif field.enum_type is not None:
            found[field.name] = field.enum_type.values_by_number[value].name
        else:
            found[field.name] = text(field.name, value)
    return found
