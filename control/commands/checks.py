"""Checks of what callers sent, in processes of their own: bounded in time, and in number for each caller."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mevflow.control.commands.checking import LENGTH, CheckAnswer, Inspect, Question, Rehearse
from mevflow.control.commands.rehearsal import Given, RehearsalVerdict
from mevflow.control.commands.turns import Turns
from mevflow.control.refusal import Refused
from mevflow.flows.spec.topology import Problem
from mevflow.operators import errors
from mevflow.operators.errors import MevflowError
from mevflow.processes.environment import environment

_START_S = 60.0
_PATIENCE_S = 10.0

_answers = msgspec.msgpack.Decoder(CheckAnswer)


class Checks:
    """``seconds`` for one check; ``workers`` at once, one of them for one caller. Processes start when asked for."""

    def __init__(self, seconds: int = 20, workers: int = 2) -> None:
        self._seconds = seconds
        self._turns = Turns("checks", workers, 1)
        self._idle: list[_Worker] = []

    async def rehearse(
        self, caller: str, file: Path, topology: str, command: Given, in_force: Sequence[Given], models: Path
    ) -> list[RehearsalVerdict]:
        """The word of every stage that a command addresses. Raises Refused, MevflowError."""
        about = Rehearse(str(file), topology, command, list(in_force), str(models))
        return (await self._ask(caller, about)).verdicts

    async def inspect(self, caller: str, file: Path, names: Sequence[str], text: str) -> list[Problem]:
        """What is wrong with ``text``, else with a file. Raises Refused, MevflowError."""
        return (await self._ask(caller, Inspect(str(file), list(names), text))).problems

    async def _ask(self, caller: str, about: Rehearse | Inspect) -> CheckAnswer:
        await self._turns.take(caller, _PATIENCE_S)
        worker: _Worker | None = None
        try:
            worker = self._idle.pop() if self._idle else await _Worker.start()
            async with asyncio.timeout(self._seconds):
                answer = await worker.ask(Question(about, self._seconds))
            self._idle.append(worker)
            worker = None
        except TimeoutError:
            raise Refused(
                "RESOURCE_EXHAUSTED", "CHECK_TOO_LONG", f"the check took longer than {self._seconds} s and was ended"
            ) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Refused("RESOURCE_EXHAUSTED", "CHECK_ENDED", "the check ended its process; ask for less") from None
        finally:
            if worker is not None:
                worker.kill()
            self._turns.give_back(caller)
        if answer.fault is not None:
            fault = answer.fault
            kind = getattr(errors, fault.kind, MevflowError)
            raise kind(fault.message, hint=fault.hint, key=fault.key, file=fault.file, line=fault.line)
        return answer

    async def close(self) -> None:
        """End the processes."""
        while self._idle:
            worker = self._idle.pop()
            worker.kill()
            await worker.ended()


class _Worker:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> _Worker:
        """Start it, and wait until it has imported what it needs. Raises TimeoutError, IncompleteReadError."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mevflow.control.commands.checking",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,  # Ctrl-C is not for it; it ends when its stdin does
        )
        worker = cls(process)
        try:
            async with asyncio.timeout(_START_S):
                await worker._answer()
        except BaseException:
            worker.kill()
            raise
        return worker

    async def ask(self, question: Question) -> CheckAnswer:
        """Send a question and wait for its answer."""
        assert self._process.stdin is not None
        data = msgspec.msgpack.encode(question)
        self._process.stdin.write(LENGTH.pack(len(data)) + data)
        await self._process.stdin.drain()
        return await self._answer()

    async def _answer(self) -> CheckAnswer:
        out = self._process.stdout
        assert out is not None
        (length,) = LENGTH.unpack(await out.readexactly(LENGTH.size))
        return _answers.decode(await out.readexactly(length))

    def kill(self) -> None:
        """End it, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> None:
        """Wait until it has ended."""
        await self._process.wait()
