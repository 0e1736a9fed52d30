"""How much memory is held: Python's and numpy's allocations, and Arrow's."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Give a function that says how many bytes are held that were allocated since the block began."""
    gc.collect()
    gc.freeze()  # what was there before is not looked through again
    outer = tracemalloc.is_tracing()
    if not outer:
        tracemalloc.start()
    arrow_before = pa.total_allocated_bytes()
    before = tracemalloc.get_traced_memory()[0]

    def held() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before + pa.total_allocated_bytes() - arrow_before

    try:
        yield held
    finally:
        gc.unfreeze()
        if not outer:
            tracemalloc.stop()
