"""Training and its models: ``/api/training/…``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mevflow.clickhouse.client import connect
from mevflow.control.gateway.endpoints.endpoint import HttpEndpoint, Nothing, Surroundings
from mevflow.control.refusal import invalid
from mevflow.flows.registry import ModelRegistry
from mevflow.flows.replay.plan import plan
from mevflow.learning.evaluation.report import evaluate
from mevflow.learning.evaluation.stored import read_log
from mevflow.learning.evaluation.targets import chances_of
from mevflow.learning.jobs import TrainingJobs
from mevflow.learning.training import check_node
from mevflow.operators.chains import checked_name

#: Models that one answer lists.
MAX_MODELS = 1_000
_EVALUATE_S = 60.0
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,127}$")]
ModelName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
JobId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Moment = Annotated[int, Meta(ge=0, lt=1 << 60)]


class TrainAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Node ``node`` of a topology over a window of chain time, from nothing; what it learned is called ``name``.

    ``id`` names the job (absent: ``train-NAME``). ``of``: one of the node's models alone, a chain or a candidate.
    """

    topology: Name
    node: Name
    name: ModelName
    id: JobId | None = None
    of: Annotated[str, Meta(max_length=64)] = ""
    from_us: Moment | None = None
    to_us: Moment | None = None


class JobAsked(msgspec.Struct, forbid_unknown_fields=True):
    """One job."""

    id: JobId


class ModelsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """``name``: only its versions."""

    name: ModelName | None = None


class EvaluateAsked(msgspec.Struct, forbid_unknown_fields=True):
    """``policy``: ``uniform``, ``arm:NAME`` or a policy by name. ``since`` and ``until`` as in ``mevflow evaluate``."""

    policy: Annotated[str, Meta(min_length=1, max_length=64)]
    topology: Name = "detect-live"
    run_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""
    since: Annotated[str, Meta(pattern=r"^[0-9T:.+Z -]{4,40}$")] = "1970-01-01"
    until: Annotated[str, Meta(pattern=r"^[0-9T:.+Z -]{4,40}$")] = "2100-01-01"
    chain: Annotated[str, Meta(max_length=64)] = ""
    by: Literal["episode", "decision"] = "episode"


def train(around: Surroundings, asked: TrainAsked) -> dict[str, Any]:
    """Start a job in the background."""
    if asked.from_us is not None and asked.to_us is not None and asked.from_us >= asked.to_us:
        raise invalid("to_us", "the window is empty")
    found = plan(
        around.file,
        asked.topology,
        around.var,
        asked.id or f"train-{asked.name}"[:64],
        from_us=asked.from_us,
        to_us=asked.to_us,
        warmup_us=0,
        to_clickhouse=False,
    )
    check_node(found, asked.node)
    job = TrainingJobs(around.var).start(found, asked.node, asked.name, asked.of, around.file)
    return {"id": job.id, "messages": job.messages, "state": "running"}


def jobs(around: Surroundings, asked: Nothing) -> dict[str, Any]:
    """Every job that is remembered, newest first."""
    return {"rows": TrainingJobs(around.var).all()}


def job(around: Surroundings, asked: JobAsked) -> Any:
    """One job: how far it is, and what it registered."""
    return TrainingJobs(around.var).find(asked.id)


def cancel(around: Surroundings, asked: JobAsked) -> Any:
    """End a job; it registers nothing."""
    return TrainingJobs(around.var).cancel(asked.id)


def models(around: Surroundings, asked: ModelsAsked) -> dict[str, Any]:
    """What is registered, by name and version."""
    registry = ModelRegistry(around.var / "models")
    rows = registry.versions(asked.name) if asked.name else registry.all()
    return {"rows": rows[:MAX_MODELS], "truncated": len(rows) > MAX_MODELS}


def evaluation(around: Surroundings, asked: EvaluateAsked) -> dict[str, Any]:
    """What a policy would have brought on the logged decisions; ``enough`` is false where the log cannot say."""
    if asked.chain:
        try:
            checked_name(asked.chain)
        except ValueError as error:
            raise invalid("chain", str(error)) from None
    where = around.clickhouse
    client = connect(
        where.host,
        where.port,
        user=where.user,
        password=where.password.get_secret_value(),
        database=where.database,
        timeout_s=_EVALUATE_S,
    )
    try:
        log, _ = read_log(client, asked.topology, asked.since, asked.until, asked.chain, asked.run_id)
    finally:
        client.close()
    found = evaluate(log, chances_of(log, asked.policy), by_episode=asked.by == "episode")
    return {"policy": asked.policy, "enough": found.support.enough, "evaluation": found}


ENDPOINTS = (
    HttpEndpoint("POST", "/api/training/train", "TrainStart", "Train in the background", TrainAsked, train),
    HttpEndpoint("GET", "/api/training/jobs", "TrainJobs", "Training jobs and how far they are", Nothing, jobs),
    HttpEndpoint("GET", "/api/training/jobs/{id}", "TrainJob", "One training job", JobAsked, job),
    HttpEndpoint("POST", "/api/training/jobs/{id}/cancel", "TrainCancel", "End a training job", JobAsked, cancel),
    HttpEndpoint("GET", "/api/training/models", "TrainModels", "Registered models", ModelsAsked, models),
    HttpEndpoint(
        "GET", "/api/training/evaluate", "Evaluate", "What a policy would have brought", EvaluateAsked, evaluation
    ),
)
