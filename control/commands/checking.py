"""The process that looks at what callers sent: questions on stdin, answers on stdout (``python -m`` this module).

A check runs a caller's text through parsers and stages, and nobody knows how long that takes. So it runs where it holds
up nobody, with a bound on memory, and an alarm ends the process (whatever it is doing) when a question takes too long.
:mod:`mevflow.control.commands.checks` is the other side. A frame is ``<u32 length> msgpack``.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from mevflow.control.commands.rehearsal import Given, RehearsalVerdict, rehearse
from mevflow.flows.spec.resolve import check
from mevflow.flows.spec.topology import Problem, load, parse
from mevflow.operators.errors import MevflowError

LENGTH = struct.Struct("<I")
_MAX_MEMORY = 8 << 30
#: After the asking side has given up by itself.
_GRACE_S = 5


class Rehearse(msgspec.Struct, frozen=True, tag="rehearse"):
    """What would the stages of a topology say to a command?

    ``in_force``: what was set before, in order. ``models``: the registry's folder, from which states are read here and
    not by the service: they may be large.
    """

    file: str
    topology: str
    command: Given
    in_force: list[Given]
    models: str


class Inspect(msgspec.Struct, frozen=True, tag="inspect"):
    """What is wrong with a topology file? ``text``: a caller's own, else the file is read."""

    file: str
    names: list[str]
    text: str = ""


class Question(msgspec.Struct, frozen=True):
    """``seconds``: how long the answer is waited for."""

    about: Rehearse | Inspect
    seconds: int


class Fault(msgspec.Struct, frozen=True):
    """A MevflowError on its way."""

    kind: str
    message: str
    hint: str
    key: str
    file: str
    line: int | None


class CheckAnswer(msgspec.Struct, frozen=True):
    """One of the three."""

    verdicts: list[RehearsalVerdict] = []
    problems: list[Problem] = []
    fault: Fault | None = None


def inspect(about: Inspect) -> list[Problem]:
    """Every problem. A caller's text is filled from nothing and reads no file; of our own file nothing is quoted that
    a variable was filled with."""
    path = Path(about.file)
    own = not about.text
    parsed = load(path) if own else parse(about.text, path, None)
    problems = list(parsed.problems)
    for name in about.names or list(parsed.topologies):
        problems += check(parsed, name, files=own)[1]
    return [
        Problem(each.file, each.line, each.key, parsed.redacted(each.message), parsed.redacted(each.suggestion))
        for each in problems
    ]


def answer(question: Question) -> CheckAnswer:
    """Look at one thing."""
    about = question.about
    try:
        if isinstance(about, Inspect):
            return CheckAnswer(problems=inspect(about))
        verdicts = rehearse(Path(about.file), about.topology, about.command, about.in_force, Path(about.models))
        return CheckAnswer(verdicts=verdicts)
    except MevflowError as error:
        fault = Fault(type(error).__name__, error.message, error.hint, error.key, error.file, error.line)
        return CheckAnswer(fault=fault)
    except (RecursionError, MemoryError):
        return CheckAnswer(fault=Fault("UsageError", "is nested too deep, or too large", "", "", "", None))


def send(out: BinaryIO, value: object) -> None:
    """Write a frame."""
    data = msgspec.msgpack.encode(value)
    out.write(LENGTH.pack(len(data)) + data)
    out.flush()


def main() -> None:
    """Answer until the other side closes."""
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    # What a stage or a plug-in prints must not stand between the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    questions = msgspec.msgpack.Decoder(Question)
    send(out, CheckAnswer())
    while len(head := sys.stdin.buffer.read(LENGTH.size)) == LENGTH.size:
        question = questions.decode(sys.stdin.buffer.read(LENGTH.unpack(head)[0]))
        signal.alarm(question.seconds + _GRACE_S)
        found = answer(question)
        signal.alarm(0)
        send(out, found)


if __name__ == "__main__":
    main()
