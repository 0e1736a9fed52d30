"""Batches of several inputs and partitions -> one stretch of chain order.

A topic is keyed by pool, so order holds a pool only. :class:`ChainMerge` keeps rows until watermarks say that nothing
older is outstanding, then gives them by chain in the order (time, slot, tx_index, ix_index), which on a chain is the
order of its slots; where two inputs have the same place, the input that was named first comes first. Watermarks speak
of time, so time decides where the two disagree: another cut of the same rows into stretches cannot change their order.
A row without a time takes its place among the slots.

What a row may be besides in order (:mod:`mevflow.operators.chain_mark`): *late*, given first and marked, or *astray*.
Rows whose fork has not been told of wait for that, rows of a fork that is gone are dropped: see :mod:`.forks`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mevflow.operators.chain_mark import ChainMark
from mevflow.operators.errors import StateError
from mevflow.operators.forks import Forks, ForksState, forks_of
from mevflow.operators.stage import CAUGHT_UP_US, Watermark

ORDER = ("chain", "slot", "tx_index", "ix_index")
#: Version 1 kept the coordinates of the mark alone, and no forks.
_VERSION, _READ = 2, (1, 2)
#: More stretches than this in one batch are not worth slicing.
_MAX_SLICES = 256


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows that may be processed now.

    ``batches`` has one batch an input (rows in no particular order). Row ``i`` of the stretch is row ``row[i]`` of
    input ``source[i]``; ``late[i]`` says that it came after its place, ``astray[i]`` that it cannot be where it says.
    """

    batches: list[pa.RecordBatch]
    source: NDArray[np.int8]
    row: NDArray[np.int64]
    late: NDArray[np.bool_]
    astray: NDArray[np.bool_]


class _State(msgspec.Struct):
    version: int
    last: dict[int, tuple[int, ...]]
    late_rows: int
    pending: list[bytes]
    waiting: list[bytes] = []
    forks: ForksState = msgspec.field(default_factory=ForksState)


class ChainMerge:
    """Holds what waits, by input; ``schemas`` names the inputs in the order that breaks ties.

    ``told``: somebody says with :meth:`undo` that the chain has gone back, so that it is worth waiting for.
    """

    def __init__(self, schemas: dict[str, pa.Schema], lateness_us: int = 0, told: bool = True) -> None:
        self._ports = list(schemas)
        self._schemas = schemas
        self._none = {port: _empty(schema) for port, schema in schemas.items()}
        self._pending: dict[str, list[pa.RecordBatch]] = {port: [] for port in schemas}
        self._untold: dict[str, list[pa.RecordBatch]] = {port: [] for port in schemas}
        self._told = told
        self._forks = Forks()
        self._holds: dict[str, int] = {}
        self._ended: set[str] = set()
        self._lateness_us = lateness_us
        self._marks: dict[int, ChainMark] = {}
        self.late_rows = 0

    def add(self, port: str, batch: pa.RecordBatch) -> None:
        """Keep a batch of an input until its time has come."""
        if not batch.num_rows:
            return
        goes, waits = self._forks.sort(batch)
        if goes.num_rows:
            self._pending[port].append(goes)
        if waits is not None:
            self._untold[port].append(waits)
            if not self._told or self._forks.lose_patience(itertools.chain.from_iterable(self._untold.values())):
                self._end_wait()

    def _end_wait(self) -> None:
        """What waits for a fork may go on, as far as that has been told of."""
        if not self._told:
            self._forks.lose_patience(itertools.chain.from_iterable(self._untold.values()), ended=True)
        waited, self._untold = self._untold, {port: [] for port in self._ports}
        for port, batches in waited.items():
            for batch in batches:
                goes, waits = self._forks.sort(batch)
                if goes.num_rows:
                    self._pending[port].append(goes)
                if waits is not None:
                    self._untold[port].append(waits)

    @property
    def waiting(self) -> int:
        """Rows that wait."""
        held = itertools.chain(*self._pending.values(), *self._untold.values())
        return sum(batch.num_rows for batch in held)

    def advance(self, port: str, watermark: Watermark, inputs: frozenset[str]) -> Stretch | None:
        """Take an input's watermark; give what may be processed, or None. ``inputs`` are the ports in use."""
        self._holds[port] = watermark.hold_us
        if watermark.final:
            self._ended.add(port)
            if self.over(inputs) and any(self._untold.values()):
                self._told = False
                self._end_wait()
        hold = min(self._holds.get(each, 0) for each in inputs | {port})
        if hold < CAUGHT_UP_US:
            hold -= self._lateness_us
        return self._release(hold)

    def over(self, inputs: frozenset[str]) -> bool:
        """Whether all of ``inputs`` have ended."""
        return inputs <= self._ended

    def _release(self, hold_us: int) -> Stretch | None:
        ready: list[pa.RecordBatch] = []
        for port in self._ports:
            now: list[pa.RecordBatch] = []
            later: list[pa.RecordBatch] = []
            for batch in self._pending[port]:
                _part(batch, hold_us, now, later)
            self._pending[port] = later
            ready.append(pa.concat_batches(now) if len(now) > 1 else now[0] if now else self._none[port])
        rows = sum(batch.num_rows for batch in ready)
        return self._order(ready) if rows else None

    def _order(self, ready: list[pa.RecordBatch]) -> Stretch:
        source = np.repeat(np.arange(len(ready), dtype=np.int8), [batch.num_rows for batch in ready])
        row = np.concatenate([np.arange(batch.num_rows) for batch in ready])
        keys = [_column(ready, name).astype(np.uint64, copy=False) for name in ORDER]
        times = _column(ready, "timestamp_us")
        # Ties go to the input named first: the rows are in that order already, and the sort is stable.
        order = _stable_order(keys)
        chains = keys[0][order]
        late = np.zeros(len(order), np.bool_)
        astray = np.zeros(len(order), np.bool_)
        begin = 0
        for one in distinct(chains):
            end = int(np.searchsorted(chains, one, "right"))
            mark = self._marks.setdefault(one, ChainMark())
            mine = order[begin:end]
            sorted_in, at_us = mark.by_time(times[mine])
            if sorted_in is not None:
                order[begin:end] = mine = mine[sorted_in]
            places = [key[mine] for key in keys[1:]]
            late[begin:end], astray[begin:end] = mark.judge(at_us, *places)
            begin = end
        self.late_rows += int(late.sum())
        return Stretch(ready, source[order], row[order], late, astray)

    @property
    def counts(self) -> dict[str, float]:
        """Rows that came too late for their place, or were of a fork that is gone; forks that nobody told of."""
        forks = self._forks.state
        return {"late_rows": self.late_rows, "stale_rows": forks.stale_rows, "untold_forks": forks.untold_forks}

    def undo(self, chain: int, first: int, last: int, fork: int = 0) -> bool:
        """Drop what waits of slots ``first`` to ``last``; what comes of them now is not late.

        ``fork``: the one that begins so, whose own rows stay; 0 where nobody tells. Gives whether what was given of
        those slots is to be taken back too: not where that fork was told of before, or no earlier one was ever read.
        """
        if not self._forks.tell(chain, first, fork):
            self._end_wait()
            return False
        for port in self._ports:
            kept = []
            for batch in self._pending[port]:
                slot = batch.column("slot").to_numpy()
                gone = (batch.column("chain").to_numpy() == chain) & (slot >= first) & (slot <= last)
                if fork:
                    gone &= forks_of(batch) < fork
                kept.append(batch.filter(pa.array(~gone)) if gone.any() else batch)
            self._pending[port] = [batch for batch in kept if batch.num_rows]
        mark = self._marks.get(chain)
        if mark is not None and mark.place is not None and first <= mark.place[0] <= last:
            mark.place = (first, 0, 0)
        self._end_wait()
        return True

    def snapshot(self) -> bytes:
        """What waits and where the order stands. Watermarks are not kept: the sources say them anew."""
        pending = [_packed(self._schemas[port], self._pending[port]) for port in self._ports]
        untold = [_packed(self._schemas[port], self._untold[port]) for port in self._ports]
        marks = {chain: mark.as_tuple() for chain, mark in self._marks.items()}
        return msgspec.msgpack.encode(_State(_VERSION, marks, self.late_rows, pending, untold, self._forks.state))

    def restore(self, state: bytes) -> None:
        """Raises StateError for a state of another version or other inputs."""
        saved = msgspec.msgpack.decode(state, type=_State)
        if saved.version not in _READ or len(saved.pending) != len(self._ports):
            raise StateError("the merge's state is of another version", hint="deploy with --fresh")
        self._marks = {chain: ChainMark.of(kept) for chain, kept in saved.last.items()}
        self.late_rows = saved.late_rows
        self._forks.state = saved.forks
        for port, data in zip(self._ports, saved.pending, strict=True):
            self._pending[port] = _unpacked(self._schemas[port], data)
        if saved.waiting:
            for port, data in zip(self._ports, saved.waiting, strict=True):
                self._untold[port] = _unpacked(self._schemas[port], data)


def distinct(values: NDArray[Any]) -> list[int]:
    """The different values, ascending, of what is most often one value over and over."""
    if not len(values):
        return []
    least, most = int(values.min()), int(values.max())
    return [least] if least == most else np.unique(values).tolist()


def _part(batch: pa.RecordBatch, hold_us: int, now: list[pa.RecordBatch], later: list[pa.RecordBatch]) -> None:
    """Put the rows before ``hold_us`` into ``now`` and the others into ``later``, as slices where they lie together.

    A source gives rows partition by partition, each in time order, so a batch falls into a few stretches.
    """
    if hold_us == CAUGHT_UP_US:  # nothing is outstanding, whatever the time of a row
        now.append(batch)
        return
    before = batch.column("timestamp_us").to_numpy() < hold_us
    cuts = np.flatnonzero(before[1:] != before[:-1]) + 1
    if len(cuts) > _MAX_SLICES:
        now.append(batch.filter(pa.array(before)))
        later.append(batch.filter(pa.array(~before)))
        return
    edges = [0, *cuts.tolist(), batch.num_rows]
    for begin, end in itertools.pairwise(edges):
        (now if before[begin] else later).append(batch.slice(begin, end - begin))


def _packed(schema: pa.Schema, batches: list[pa.RecordBatch]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch.cast(schema))
    return bytes(sink.getvalue().to_pybytes())


def _unpacked(schema: pa.Schema, data: bytes) -> list[pa.RecordBatch]:
    """Batches of ``schema``. Rows of version 1 have no fork: nobody told one."""
    with pa.ipc.open_stream(data) as reader:
        batches = list(reader)
    if "fork" not in schema.names or (batches and "fork" in batches[0].schema.names):
        return batches
    at = schema.get_field_index("fork")
    return [batch.add_column(at, schema.field(at), pa.array([0] * batch.num_rows, pa.uint64())) for batch in batches]


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def _column(batches: list[pa.RecordBatch], name: str) -> NDArray[Any]:
    """A column of all batches; that of the only one with rows as it lies there."""
    parts = [batch.column(name).to_numpy() for batch in batches if batch.num_rows]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _stable_order(keys: list[NDArray[np.uint64]]) -> NDArray[np.int64]:
    """Indices that sort by the keys, the first most significant; one pass where they fit into 64 bits."""
    least = [key.min() for key in keys]
    widths = [int(key.max() - low).bit_length() for key, low in zip(keys, least, strict=True)]
    if sum(widths) > 63:
        return np.lexsort(keys[::-1])
    packed = np.zeros(len(keys[0]), np.uint64)
    for key, low, width in zip(keys, least, widths, strict=True):
        if width:  # most stretches are of one chain, most transactions have one swap
            packed <<= np.uint64(width)
            packed |= key - low
    if (packed[1:] >= packed[:-1]).all():
        return np.arange(len(packed))
    return np.argsort(packed, kind="stable")
