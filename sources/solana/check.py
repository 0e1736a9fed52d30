"""What one Geyser endpoint can do of what ``yellowstone.source`` needs, asked of it."""

from __future__ import annotations

import threading
import time

from mevflow.sources.evm.check import Finding
from mevflow.sources.solana.stream import GeyserEndpoint, GeyserStream, StreamError, ask, subscription
from mevflow.v1 import geyser_pb2 as geyser

#: A node that streams nothing for so long is of no use: slots last 0.4 s.
_PATIENCE_S = 10.0


def check_geyser(endpoint: GeyserEndpoint, programs: tuple[bytes, ...]) -> list[Finding]:
    """Try an endpoint. Nothing is raised but UsageError for a token that cannot be read: what fails is a finding."""
    try:
        began = time.monotonic()
        version = ask(endpoint, "GetVersion", geyser.GetVersionRequest(), geyser.GetVersionReply, _PATIENCE_S)
        took = (time.monotonic() - began) * 1000
    except StreamError as wrong:
        return [Finding("answers", False, wrong.message)]
    found = [Finding("answers", True, f"{version.version[:80]}, {took:.0f} ms a call")]
    found.append(_replay(endpoint))
    found.append(_streams(endpoint, programs))
    return found


def _replay(endpoint: GeyserEndpoint) -> Finding:
    try:
        told = ask(endpoint, "SubscribeReplayInfo", geyser.ReplayInfoRequest(), geyser.ReplayInfoReply, _PATIENCE_S)
    except StreamError as wrong:
        return Finding("goes back", False, f"does not say how far: {wrong.message}", needed=False)
    if not told.HasField("first_available"):
        return Finding("goes back", False, "keeps no slots: gaps are filled by JSON-RPC", needed=False)
    return Finding("goes back", True, f"to slot {told.first_available}", needed=False)


def _streams(endpoint: GeyserEndpoint, programs: tuple[bytes, ...]) -> Finding:
    """Whether the end of a block comes, with all that is subscribed to."""
    limited = endpoint.model_copy(update={"silence_s": min(endpoint.silence_s, _PATIENCE_S)})
    stream = GeyserStream(limited, subscription(programs, "processed"))
    transactions, ends = 0, time.monotonic() + _PATIENCE_S
    try:
        for update in stream.updates(threading.Event()):
            kind = update.WhichOneof("update")
            transactions += kind == "transaction"
            if kind == "block_meta":
                return Finding("streams", True, f"slot {update.block_meta.slot}, {transactions} transactions before it")
            if time.monotonic() > ends:
                break
    except StreamError as wrong:
        return Finding("streams", False, wrong.message)
    finally:
        stream.close()
    return Finding("streams", False, f"the end of no block came within {_PATIENCE_S:g} s")
