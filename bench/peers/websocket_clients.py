"""The reading side of ``bench websocket``: many picows clients in a process of their own.

Each walks every frame's protobuf framing (message by message, compiled), checks that ``sequence`` has no hole, adds up
messages and gaps, and decodes one frame in ``SAMPLE`` in full, to see that its messages pass its filter and differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import numba
import numpy as np
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from mevflow.v1.realtime_pb2 import RealtimeBatch

SAMPLE = 64

#: Columns of the counters that the two processes share: one row a client.
MESSAGES, DROPPED, FRAMES, BYTES, FAULTS, COLUMNS = range(6)


@numba.njit(cache=True)
def walk(data: np.ndarray) -> tuple[int, int, int, int]:
    """``(messages, sequence, dropped, dropped_total)`` of a serialized RealtimeBatch; messages -1 when malformed."""
    messages = sequence = dropped = dropped_total = 0
    at, end = 0, len(data)
    while at < end:
        tag = data[at]
        at += 1
        value = 0
        shift = 0
        while True:
            if at >= end:
                return -1, 0, 0, 0
            byte = int(data[at])
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if tag == 0x12:
            at += value
            messages += 1
        elif tag == 0x08:
            sequence = value
        elif tag == 0x18:
            dropped = value
        elif tag == 0x20:
            dropped_total = value
        else:
            return -1, 0, 0, 0
    return (messages if at == end else -1), sequence, dropped, dropped_total


class BatchCounter:
    """Counts the batches of one connection into its row of the shared counters."""

    def __init__(self, row: np.ndarray, pools: frozenset[bytes]) -> None:
        self._row, self._pools = row, pools
        self._sequence = 0

    def add(self, data: memoryview | bytearray) -> None:
        """One serialized RealtimeBatch."""
        row = self._row
        messages, sequence, dropped, _ = walk(np.frombuffer(data, np.uint8))
        self._sequence += 1
        row[FRAMES] += 1
        row[BYTES] += len(data)
        row[FAULTS] += messages < 0 or sequence != self._sequence
        row[DROPPED] += dropped
        row[MESSAGES] += messages
        if sequence % SAMPLE == 0:
            row[FAULTS] += not self._fair(RealtimeBatch.FromString(bytes(data)))

    def _fair(self, batch: RealtimeBatch) -> bool:
        """Every message passes the filter, and no two are the same."""
        wanted = all(message.pool in self._pools for message in batch.messages) if self._pools else True
        return wanted and len({message.payload for message in batch.messages}) == len(batch.messages)


class BenchReader(WSListener):
    """Counts what one connection brings; without envelopes a frame is a message."""

    def __init__(self, row: np.ndarray, pools: frozenset[bytes], enveloped: bool) -> None:
        super().__init__()
        self._row = row
        self._batches = BatchCounter(row, pools) if enveloped else None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.BINARY:
            return
        if self._batches is not None:
            self._batches.add(frame.get_payload_as_memoryview())
            return
        self._row[FRAMES] += 1
        self._row[BYTES] += frame.payload_size
        self._row[MESSAGES] += 1


def read(urls: Sequence[str], filters: Sequence[frozenset[bytes]], enveloped: bool, shared: Any, ended: Any) -> None:
    """Entry point of the process: connect to every URL and count until ``ended`` is set."""
    counters = np.frombuffer(shared, np.int64).reshape(-1, COLUMNS)
    walk(np.zeros(0, np.uint8))
    asyncio.run(_read(urls, filters, enveloped, counters, ended))


async def _read(
    urls: Sequence[str], filters: Sequence[frozenset[bytes]], enveloped: bool, counters: np.ndarray, ended: Any
) -> None:
    transports = []
    for row, url, pools in zip(counters, urls, filters, strict=True):
        transport, _ = await ws_connect(
            partial(BenchReader, row, pools, enveloped), url, read_buffer_init_size=256 << 10
        )
        transports.append(transport)
        if not enveloped:
            row[FRAMES] = 1  # connected: the hub says so with a first frame, the peer does not
    while not ended.is_set():
        await asyncio.sleep(0.05)
    for transport in transports:
        transport.disconnect()
