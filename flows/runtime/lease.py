"""Hold a claim of the claim log: renewed in a thread for as long as this process works, lost when another took it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from mevflow.flows.runtime.claim import HeldError
from mevflow.flows.runtime.claim_log import LEASE_S, ClaimLog, ClaimRecord, ClaimStanding, claim_of
from mevflow.operators.errors import MevflowError

_RENEW_S = 2.0


class Lease:
    """A held claim. ``lost`` is set once the log says that another holds it: what is under way must end at once."""

    def __init__(
        self, bootstrap: str, record: ClaimRecord, on_lost: Callable[[str], None] = lambda taker: None
    ) -> None:
        """Go on holding ``record``, which :meth:`take` (here or in the process that started this one) has made.

        ``on_lost`` is called in the thread, with who has it now.
        """
        self.record, self._on_lost = record, on_lost
        self.lost = threading.Event()
        self.taker = ""
        self._stop = threading.Event()
        self._log = ClaimLog(bootstrap, record.name)
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._thread.start()

    @classmethod
    def take(
        cls,
        bootstrap: str,
        name: str,
        folder: Path,
        role: str,
        *,
        above: int = 0,
        takeover: bool = False,
        hint: str = "",
    ) -> Lease:
        """Claim ``name`` for ``folder`` with an epoch larger than ``above`` and any before.

        Raises HeldError that says who has it and since when, UnreachableError when the log cannot be read.
        """
        log = ClaimLog(bootstrap, name)
        try:
            known = log.read()
            epoch = max(time.time_ns() // 1000, known.epoch + 1, above + 1)
            wanted = claim_of(name, folder, role, epoch=epoch, takeover=takeover)
            # The broker's time decides, and is only known of a record: our clock tells whether asking is worth one.
            fresh = abs(time.time() * 1000 - known.heard_ms) < LEASE_S * 1000
            other = known.record is not None and known.record.place != wanted.place
            if not (known.held and other and fresh and not takeover):
                log.append(wanted)
                known = log.read()
        finally:
            log.close()
        if known.record is None or known.record.owner != wanted.owner:
            raise HeldError(f"held by {known.record}", hint=hint, key=name)
        return cls(bootstrap, known.record)

    def check(self) -> None:
        """Raise MevflowError when the claim is lost."""
        if self.lost.is_set():
            raise MevflowError(f"another has taken this over: {self.taker}", key=self.record.name)

    def leave(self) -> None:
        """Stop renewing and say nothing: the process that goes on with the record does that."""
        self._stop.set()
        self._thread.join()
        self._log.close()

    def release(self) -> None:
        """Let others have it now."""
        self._stop.set()
        self._thread.join()
        if not self.lost.is_set():
            with contextlib.suppress(MevflowError):  # it lapses by itself
                self._log.append(msgspec.structs.replace(self.record, kind="release"))
        self._log.close()

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _run(self) -> None:
        """Look first, then renew: one that wakes after a long stop must not speak before it has listened."""
        while not self._stop.wait(_RENEW_S):
            with contextlib.suppress(MevflowError):  # the broker is away: try again
                standing = self._log.read()
                if standing.record is not None and standing.record.owner != self.record.owner:
                    self.taker = str(standing.record)
                    self.lost.set()
                    self._on_lost(self.taker)
                    return
                self._log.append(msgspec.structs.replace(self.record, kind="renew"))


class Wakefulness:
    """Called now and then by a process that holds claims through another: one that has slept asks before it goes on.

    A process that was stopped for longer than a lease may have a successor. What it had in hand is refused by epoch.
    """

    def __init__(self, bootstrap: str, held: Sequence[ClaimRecord], limit_s: float = LEASE_S) -> None:
        self._bootstrap, self._held, self._limit_s = bootstrap, held, limit_s
        self._last = time.monotonic()

    def __call__(self) -> None:
        """Raise MevflowError when a larger epoch holds one of the claims."""
        now, before = time.monotonic(), self._last
        self._last = now
        if now - before > self._limit_s:
            log = ClaimLog(self._bootstrap, "")
            try:
                log.read()
            finally:
                log.close()
            for mine in self._held:
                standing = log.standings.get(mine.name, ClaimStanding())
                if standing.epoch > mine.epoch:
                    raise MevflowError(
                        f"slept for {now - before:.0f} s, and meanwhile it was taken over: {standing.record}",
                        key=mine.name,
                    )
            self._last = time.monotonic()
