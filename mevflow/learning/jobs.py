"""Training in the background: start a job, see them all, end one.

A job is the command ``mevflow train`` in a process of its own, at a low priority. What is known of it lies in
``var/training/ID.json``; what it registered, it says in ``ID.out`` when it ends. A model is registered as a whole or
not at all (:class:`~mevflow.flows.registry.ModelRegistry`), so a job may be killed at any moment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Literal

import msgspec

from mevflow.flows.registry import ModelMeta
from mevflow.flows.replay.jobs import window_options
from mevflow.flows.replay.plan import Plan
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.status import shard_status, source_rows
from mevflow.operators.errors import UsageError
from mevflow.processes.background import ProcessId
from mevflow.processes.jobs import last_words, one_at_a_time, reap, start_job
from mevflow.processes.private import private_folder, write_private

#: Jobs of one folder at once: each has a shard to itself.
MAX_RUNNING = 2
#: Jobs that are remembered; older ones that have ended are forgotten.
MAX_KEPT = 200
#: A job gives way to what is live.
_NICE = 10
#: How long one that is cancelled may take to end in order; then it is killed.
_ORDER_S = 1.2


class TrainingJob(msgspec.Struct, frozen=True):
    """What was asked, and the process (pid, start) that does it. ``id`` is the run id of its replay."""

    id: str
    topology: str
    node: str
    name: str
    label: str
    began_us: int
    messages: int
    from_us: int | None
    to_us: int | None
    process: tuple[int, int]
    cancelled: bool = False

    @property
    def alive(self) -> bool:
        return ProcessId(*self.process).alive


class TrainingReport(msgspec.Struct, frozen=True):
    """A job and how far it is. ``done``: messages read so far of ``job.messages``; ``models``: what it registered."""

    job: TrainingJob
    state: Literal["running", "done", "cancelled", "failed"]
    done: int
    models: list[ModelMeta]
    error: str = ""


class _Said(msgspec.Struct):
    """What the command prints at its end."""

    models: list[ModelMeta]


class TrainingJobs:
    """The jobs of a folder, ``var/training``."""

    def __init__(self, var: Path) -> None:
        self._var, self._folder = var, var / "training"

    def start(self, plan: Plan, node: str, name: str, label: str, file: Path) -> TrainingJob:
        """Run ``mevflow train`` of ``node`` over a plan's window; what it learned is to be called ``name``.

        Raises UsageError when a job has this id, or when too many run.
        """
        with one_at_a_time(self._var / "training.lock"):
            return self._start(plan, node, name, label, file)

    def _start(self, plan: Plan, node: str, name: str, label: str, file: Path) -> TrainingJob:
        jobs = self._jobs()
        if any(job.id == plan.run_id for job in jobs):
            raise UsageError(f"there is a job {plan.run_id!r} already: choose another id", key="id")
        if sum(job.alive for job in jobs) >= MAX_RUNNING:
            raise UsageError(f"{MAX_RUNNING} jobs run already: wait for one, or cancel it", key="id")
        private_folder(self._folder)
        words = ["train", plan.topology, node, "--name", name, "--run-id", plan.run_id]
        words += ["--file", str(file.absolute()), "--json", *(["--of", label] if label else [])]
        words += window_options(plan.from_us, plan.to_us)
        log, out = self._path(plan.run_id, "log"), self._path(plan.run_id, "out")
        found = start_job(words, self._var, log, out, _NICE)
        job = TrainingJob(
            id=plan.run_id,
            topology=plan.topology,
            node=node,
            name=name,
            label=label,
            began_us=time.time_ns() // 1000,
            messages=plan.messages,
            from_us=plan.from_us,
            to_us=plan.to_us,
            process=(found.pid, found.started),
        )
        write_private(self._path(job.id, "json"), msgspec.json.encode(job))
        self._forget(jobs)
        return job

    def all(self) -> list[TrainingReport]:
        """Every job that is remembered, newest first."""
        reap()
        return sorted(map(self._report, self._jobs()), key=lambda one: one.job.began_us, reverse=True)

    def find(self, identifier: str) -> TrainingReport:
        """One job. Raises UsageError when there is none of this id."""
        reap()
        return self._report(self._job(identifier))

    def cancel(self, identifier: str) -> TrainingReport:
        """End a job within two seconds; it registers nothing. Raises UsageError when it does not run."""
        job = self._job(identifier)
        if not job.alive:
            raise UsageError(f"job {identifier!r} does not run")
        write_private(self._path(identifier, "json"), msgspec.json.encode(msgspec.structs.replace(job, cancelled=True)))
        process = ProcessId(*job.process)
        process.signal(signal.SIGINT)
        if not process.wait(_ORDER_S) and process.alive:
            # The job leads a session of its own, so its shard goes with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(5.0)
        return self.find(identifier)

    def _report(self, job: TrainingJob) -> TrainingReport:
        alive = job.alive
        models = [] if alive else self._models(job.id)
        done = source_rows(said) if (said := shard_status(Layout.replay(self._var, job.topology, job.id), 0)) else 0
        if alive or models:
            return TrainingReport(job, "running" if alive else "done", done, models)
        if job.cancelled:
            return TrainingReport(job, "cancelled", done, [])
        return TrainingReport(job, "failed", done, [], last_words(self._path(job.id, "log")))

    def _models(self, identifier: str) -> list[ModelMeta]:
        try:
            return msgspec.json.decode(self._path(identifier, "out").read_bytes(), type=_Said).models
        except (OSError, msgspec.DecodeError):
            return []

    def _job(self, identifier: str) -> TrainingJob:
        for job in self._jobs():
            if job.id == identifier:
                return job
        raise UsageError(f"there is no job {identifier[:80]!r}", hint="GET /api/training/jobs lists them")

    def _jobs(self) -> list[TrainingJob]:
        found = []
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(OSError, msgspec.DecodeError):
                found.append(msgspec.json.decode(path.read_bytes(), type=TrainingJob))
        return found

    def _forget(self, jobs: list[TrainingJob]) -> None:
        ended = sorted((job for job in jobs if not job.alive), key=lambda job: job.began_us)
        for job in ended[: max(0, len(jobs) + 1 - MAX_KEPT)]:
            for kind in ("json", "out", "log"):
                self._path(job.id, kind).unlink(missing_ok=True)

    def _path(self, identifier: str, kind: str) -> Path:
        return self._folder / f"{identifier}.{kind}"
