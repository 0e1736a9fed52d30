"""``mevflow model``: learned states on disk, and which of them run."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import click

from mevflow.cli.control.connection import connect, delivering, how, passing, payload_of, plain, reaching, show_reply
from mevflow.cli.output import csv_option, emit, emit_csv, emit_json, json_option, table


@click.group()
def command() -> None:
    """Models: what was learned, kept by its content id, and given to running topologies."""


@command.command("list")
@click.argument("name", default="")
@json_option
@csv_option
def list_(name: str, as_json: bool, as_csv: bool) -> None:
    """Registered models, of NAME or of all names."""
    import msgspec

    registry = _registry()
    rows = registry.versions(name) if name else registry.all()
    if as_json:
        emit_json([msgspec.to_builtins(row) for row in rows])
        return
    show, digits = (emit_csv, 64) if as_csv else (table, 12)
    show(
        ["model", "id", "learner", "chain", "target", "lessons", "bytes"],
        [[f"{r.name}@{r.version}", r.id[:digits], r.learner, r.chain, r.target, r.lessons, r.bytes] for r in rows],
    )


@command.command()
@click.argument("model")
@json_option
def show(model: str, as_json: bool) -> None:
    """What is known of MODEL: NAME, NAME@VERSION, or an id or its first six or more digits."""
    import msgspec

    registry = _registry()
    meta = registry.find(model)
    registry.state(meta)  # whole, or it is said
    emit(msgspec.to_builtins(meta), as_json)


@command.command()
@click.argument("model")
@click.option(
    "--key", required=True, type=click.Path(path_type=Path), help="File of a private key; its name is its id."
)
@json_option
def sign(model: str, key: Path, as_json: bool) -> None:
    """Vouch for MODEL: sign its content id with a key of `mevflow control keys new`.

    A control service that knows the public half (MEVFLOW_CONTROL__MODEL_KEYS) refuses a model with a wrong signature,
    and with MEVFLOW_CONTROL__MODELS_SIGNED=true one without.
    """
    from mevflow.flows.model_signatures import sign as signed
    from mevflow.flows.steering.signatures import Signer

    registry = _registry()
    meta = registry.find(model)
    emit(
        {"model": f"{meta.name}@{meta.version}", "id": meta.id, "signature": signed(registry, meta, Signer(key))},
        as_json,
    )


@command.command()
@click.argument("topology")
@click.argument("node")
@click.option("--name", required=True, help="The name to register it under.")
@click.option("--of", "label", default="", help="Which of the node's models: a chain, or a candidate.")
@click.option("--shard", type=click.IntRange(0), default=0, show_default=True)
@json_option
def export(topology: str, node: str, name: str, label: str, shard: int, as_json: bool) -> None:
    """Register what NODE of a deployed TOPOLOGY had learned at its last epoch."""
    import msgspec

    from mevflow.flows.config import config
    from mevflow.flows.runtime.layout import Layout
    from mevflow.flows.runtime.saved_state import saved_states
    from mevflow.flows.runtime.spec import RunSpec
    from mevflow.flows.spec.resolve import resolve
    from mevflow.learning.extract import learned_models
    from mevflow.operators.errors import UsageError

    layout = Layout.live(config().var, topology)
    if not layout.spec.exists():
        raise UsageError(f"{topology} was never deployed here", hint=f"mevflow deploy {topology}", key="TOPOLOGY")
    spec = RunSpec.load(layout.spec)
    nodes = {each.name: each for each in resolve(spec.topology_file(), topology).nodes}
    states = saved_states(spec.recovery(shard))
    if node not in nodes or node not in states:
        there = ", ".join(sorted(states)) or "nothing"
        raise UsageError(
            f"shard {shard} of {topology} has saved nothing of {node!r}; it has {there}",
            hint="wait for the end of an epoch",
            key="NODE",
        )
    found = learned_models(nodes[node], states[node])
    chosen = [one for one in found if not label or one.label == label]
    if not label and nodes[node].kind.use == "river.model":
        chosen = chosen[:1]  # the champion
    if len(chosen) != 1:
        there = ", ".join(one.label for one in found) or "learned nothing yet"
        raise UsageError(f"{node} has {there}", hint="say which by --of", key="--of")
    done = _registry().save(chosen[0].state, msgspec.structs.replace(chosen[0].meta, name=name, code=_code()))
    emit(msgspec.to_builtins(done), as_json)


@command.command()
@click.argument("first")
@click.argument("second")
@json_option
def diff(first: str, second: str, as_json: bool) -> None:
    """What differs between two models. Exit code 4 when anything but their names does."""
    import msgspec

    from mevflow.operators.errors import CheckFailedError

    registry = _registry()
    metas = [msgspec.to_builtins(registry.find(each)) for each in (first, second)]
    rows = [
        {"field": field, "first": metas[0][field], "second": metas[1][field]}
        for field in metas[0]
        if metas[0][field] != metas[1][field]
    ]
    if as_json:
        emit_json(rows)
    else:
        table(["field", first, second], [[str(row[key]) for key in ("field", "first", "second")] for row in rows])
    if metas[0]["id"] != metas[1]["id"]:
        raise CheckFailedError("they have learned different things", key=f"{first} {second}")


@command.command()
@click.argument("topology")
@click.argument("target")
@click.argument("model")
@click.option("--chain", default="", help="The chain that it is for; absent: the one that taught it.")
@click.option("--candidate", default="", help="river.model: under which name it joins.")
@click.option("--rollback", is_flag=True, help="If one shard refuses, give the others the former model again.")
@passing
@delivering
@reaching
def swap(
    topology: str,
    target: str,
    model: str,
    chain: str,
    candidate: str,
    rollback: bool,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Give TARGET the learned state MODEL: registered (NAME, NAME@VERSION, id), or a payload (JSON, @FILE or -).

    A pipeline joins as a challenger; `mevflow model promote` makes it lead. Exit code 4 without --force for what nobody
    registered, a policy that `mevflow evaluate --model` has not judged or puts below the gate, and fewer than 100
    lessons.
    """
    if model.startswith(("{", "@", "-")):
        payload = payload_of(model)
    else:
        payload = json.dumps(_payload(model, chain, candidate)).encode()
    if not force:
        _check(payload)
    given = how(options, rollback=rollback, force=force)
    with connect(**options) as control:
        show_reply(control.swap_model(topology, target, payload, how=given), as_json)


@command.command()
@click.argument("topology")
@click.argument("target")
@click.argument("candidate")
@passing
@delivering
@reaching
def promote(topology: str, target: str, candidate: str, force: bool, as_json: bool, **options: Any) -> None:
    """Let CANDIDATE of a river.model TARGET lead at once, before the evidence lets it.

    Exit code 4 without --force: a candidate leads by itself once its labels show that it is better.
    """
    given = how(options, force=force)
    payload = json.dumps({"candidate": candidate, "champion": True}).encode()
    with connect(**options) as control:
        show_reply(control.swap_model(topology, target, payload, how=given), as_json)


@command.command()
@click.argument("topology")
@click.argument("target")
@click.option("--to-version", type=click.IntRange(0), default=0, help="0: the one before the version in force.")
@passing
@delivering
@reaching
def rollback(topology: str, target: str, to_version: int, force: bool, as_json: bool, **options: Any) -> None:
    """Set again, as a new version, the model that TARGET (`decided@solana` for one chain) had before.

    Exit code 4 without --force where its newest evaluation says that it is below the gate.
    """
    given = how(options, force=force)
    with connect(**options) as control:
        show_reply(control.rollback(topology, target, kind="model", to_version=to_version, how=given), as_json)


@command.command("commands")
@click.argument("topology", default="")
@csv_option
@reaching
def commands(topology: str, as_json: bool, as_csv: bool, **where: Any) -> None:
    """Models that were set by command, newest first."""
    from mevflow.control.client.client import outcome
    from mevflow.flows.times import iso

    with connect(**where) as control:
        rows = control.history(topology, kind="model").commands
    if as_json:
        emit_json([plain(row) for row in rows])
        return
    show = emit_csv if as_csv else table
    show(
        ["issued", "topology", "target", "version", "outcome", "by", "bytes"],
        [
            [iso(r.issued_at_us), r.topology or "*", r.target, r.version, outcome(r), r.issuer, len(r.payload)]
            for r in rows
        ],
    )


def _registry() -> Any:
    from mevflow.flows.config import config
    from mevflow.flows.registry import ModelRegistry

    return ModelRegistry(config().var / "models")


def _code() -> str:
    from importlib.metadata import version

    return version("mevflow")


def _check(payload: bytes) -> None:
    """Raises CheckFailedError where the model is registered here and below the gate: the service need not be asked."""
    from mevflow.learning.verdict import shortfalls
    from mevflow.operators.errors import CheckFailedError, UsageError

    registry, short = _registry(), []
    with contextlib.suppress(ValueError, RecursionError, UsageError):  # the service says what is wrong with a payload
        asked = json.loads(payload)
        if isinstance(asked, dict) and asked.get("id"):
            short = shortfalls(registry, registry.find(str(asked["id"])))
    if short:
        raise CheckFailedError("; ".join(short), hint="evaluate it on a longer log, train it anew, or --force")


def _payload(model: str, chain: str, candidate: str) -> dict[str, Any]:
    """What a command says of a registered model; shards fetch the state by its id."""
    meta = _registry().find(model)
    if meta.kind == "pipeline":
        return {"candidate": candidate or meta.name, "id": meta.id, "chain": chain or meta.chain}
    return {"policy": meta.learner, "options": meta.options, "id": meta.id, "chain": chain or meta.chain}
