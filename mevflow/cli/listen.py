"""``mevflow listen``: what live readers get, as NDJSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mevflow.cli.output import emit_json, json_option, note

if TYPE_CHECKING:
    from mevflow.sinks.websocket.hub.reader import LiveDoor


@click.command()
@click.option(
    "--channel", "channels", multiple=True, help="Only this channel (decisions, opportunities …); repeatable."
)
@click.option(
    "--pool", "pools", multiple=True, help="Only messages about this pool: base58, or 0x and hex; repeatable."
)
@click.option("--limit", type=click.IntRange(1), help="End after so many messages.")
@click.option(
    "--token-file",
    envvar="MEVFLOW_CONTROL_TOKEN_FILE",
    type=click.Path(path_type=Path),
    help="Holds a bearer token: listen through the gateway.",
)
@click.option(
    "--ca-file",
    envvar="MEVFLOW_CONTROL_CA_FILE",
    type=click.Path(path_type=Path),
    help="The gateway speaks TLS: trust this CA.",
)
@json_option
def command(
    channels: tuple[str, ...],
    pools: tuple[str, ...],
    limit: int | None,
    token_file: Path | None,
    ca_file: Path | None,
    as_json: bool,
) -> None:
    """Print live messages, one JSON document a line, until interrupted.

    A gap (messages that came too fast for this reader) is a line with "dropped" alone.
    """
    import asyncio

    from mevflow.flows.config import config
    from mevflow.sinks.websocket.hub.filters import pool_bytes
    from mevflow.sinks.websocket.hub.reader import listen

    wanted = [pool_bytes(text) for text in pools]
    door = _door(token_file, ca_file)
    note(f"connecting to {door.url}")
    _tell_of_feeds(config().websocket.port, channels)

    async def run() -> None:
        left, connected = limit, False
        async for batch in listen(door, channels, wanted):
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


def _door(token_file: Path | None, ca_file: Path | None) -> LiveDoor:
    """The hub's, or the gateway's for who has a token. Raises UsageError when a file cannot be read."""
    import ssl

    from mevflow.flows.config import config
    from mevflow.operators.errors import UsageError
    from mevflow.sinks.websocket.hub.reader import LiveDoor

    if token_file is None:
        return LiveDoor(config().websocket.host, config().websocket.port)
    where = config().control
    try:
        context = None if ca_file is None else ssl.create_default_context(cafile=str(ca_file))
        return LiveDoor(where.host, where.http_port, token_file.read_text().strip(), context)
    except OSError as error:
        raise UsageError(f"a token or CA file cannot be read: {error.strerror}", file=str(token_file)) from error


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
    from mevflow.operators.readable import readable

    head = {"channel": message.channel, "type": message.type, "timestamp_us": message.timestamp_us}
    try:
        payload = message_type(message.type).FromString(message.payload)
    except UsageError:
        return {**head, "payload": message.payload.hex()}  # a plug-in's own message type
    return {**head, **readable(payload)}
