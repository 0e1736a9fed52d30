"""Models by their content id: whole or not there, and never another one's."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from mevflow.cli import cli
from mevflow.flows.config import config
from mevflow.flows.registry import ModelMeta, ModelRegistry, with_state
from mevflow.flows.spec.resolve import ResolvedNode
from mevflow.learning.extract import learned_models
from mevflow.operators.decide.settings import BanditSettings
from mevflow.operators.decide.stage import BanditDecide
from mevflow.operators.errors import MevflowError, StateError, UsageError
from mevflow.operators.model.settings import ModelSettings
from mevflow.operators.model.stage import RiverModel
from mevflow.operators.stage import Command, StageContext
from mevflow.testing import END, Outputs
from mevflow.v1 import market_pb2 as market
from tests.operators.decide.opportunities import stream

BOTH = (market.CHAIN_SOLANA, market.CHAIN_ETHEREUM)
META = ModelMeta(name="tips", kind="policy", learner="tip-linucb")


def river(seed: int = 4) -> RiverModel:
    given = {"chain": "solana", "target": "survives", "champion": "StandardScaler | LogisticRegression"}
    made = RiverModel(ModelSettings.model_validate(given), StageContext("t", "scored"))
    Outputs().give(made, [("in", stream(80, seed=seed)), ("in", END)])
    return made


def bandit() -> BanditDecide:
    made = BanditDecide(BanditSettings(), StageContext("t", "decided"))
    Outputs().give(made, [("in", stream(200, seed=3, chains=BOTH))])
    return made


def test_a_state_is_one_version_and_found_by_name_version_and_id(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    first, again, second = registry.save(b"one", META), registry.save(b"one", META), registry.save(b"two", META)
    assert first == again
    assert [one.version for one in registry.versions("tips")] == [1, 2]
    assert registry.find("tips") == second
    for name in ("tips@1", first.id, first.id[:8]):
        assert registry.find(name) == first
        assert registry.state(registry.find(name)) == b"one"
    for name in ("tips@3", "none", "00000000", "../tips", "TIPS", ""):
        with pytest.raises(UsageError, match="no model"):
            registry.find(name)
    with pytest.raises(UsageError, match="no model's name"):
        registry.save(b"x", msgspec.structs.replace(META, name="../x"))


def test_what_was_interrupted_is_not_registered_and_damage_is_told(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    kept = registry.save(b"state", META)
    half = tmp_path / "tips" / ".2.99999"
    half.mkdir()
    (half / "state").write_bytes(b"sta")
    assert registry.all() == [kept]
    assert registry.save(b"other", META).version == 2
    (tmp_path / "tips" / "1" / "state").write_bytes(b"stale")
    with pytest.raises(StateError, match="not the one that was registered"):
        registry.state(kept)
    (tmp_path / "tips" / "1" / "meta.json").write_bytes(b"{")
    with pytest.raises(StateError, match=r"meta\.json"):
        registry.all()


def test_a_command_names_an_id_and_the_stage_gets_the_state(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    stage, other = bandit(), BanditDecide(BanditSettings(), StageContext("t", "decided"))
    node = ResolvedNode("decided", BanditDecide, stage.settings, ())
    for at, one in enumerate(learned_models(node, stage.snapshot()), 1):
        meta = registry.save(one.state, msgspec.structs.replace(one.meta, name="tips"))
        payload = json.dumps({"policy": meta.learner, "id": meta.id, "chain": meta.chain}).encode()
        ack = other.on_control(Command("c", "model", f"decided@{meta.chain}", at, with_state(payload, tmp_path)))
        assert ack is not None
        assert ack.status == "APPLIED", ack
        bare = other.on_control(Command("c", "model", f"decided@{meta.chain}", at + 1, payload))
        assert bare is not None
        assert (bare.status, bare.reason) == ("REJECTED", "bad_model")
    mine, theirs = (learned_models(node, each.snapshot()) for each in (stage, other))
    assert [one.state for one in mine] == [one.state for one in theirs]
    found = Outputs().give(other, [("in", stream(9, seed=8, chains=BOTH))]).tables()["decisions"]
    assert {value.hex() for value in found.column("model_id").to_pylist()} == {one.id for one in registry.all()}


def test_no_such_model_is_said_and_a_payload_without_an_id_stays(tmp_path: Path) -> None:
    for payload in (
        b'{"id": "../../etc"}',
        b"{}",
        b"[]",
        b"nonsense",
        b'{"id": 3}',
        b'{"id": "", "state": "AAAA"}',
        b"[" * 100_000,
    ):
        assert with_state(payload, tmp_path) == payload
    with pytest.raises(MevflowError, match="no model"):
        with_state(json.dumps({"id": "a" * 64}).encode(), tmp_path)


def test_a_pipeline_joins_as_a_challenger_or_leads(tmp_path: Path) -> None:
    stage, other = river(), river(seed=9)
    node = ResolvedNode("scored", RiverModel, stage.settings, ())
    (one,) = learned_models(node, stage.snapshot())
    assert one.meta.lessons > 0
    meta = ModelRegistry(tmp_path).save(one.state, msgspec.structs.replace(one.meta, name="landing"))
    for version, leads in ((1, False), (2, True)):
        given = {"candidate": "landing", "id": meta.id, "champion": leads}
        ack = other.on_control(
            Command("c", "model", "scored", version, with_state(json.dumps(given).encode(), tmp_path))
        )
        assert ack is not None
        assert ack.status == "APPLIED", ack
        labels = [each.label for each in learned_models(node, other.snapshot())]
        assert labels == (["landing"] if leads else ["champion", "landing"])
        # What came by command outlives a restart, whatever the file asks for.
        again = RiverModel(other.settings, other.context)
        again.restore(other.snapshot())
        assert [each.label for each in learned_models(node, again.snapshot())][: len(labels)] == labels
    row = Outputs().give(other, [("in", stream(5, seed=2))]).tables()["scores"].to_pylist()[0]
    assert (row["candidate"], row["model_id"].hex()) == ("landing", meta.id)


@pytest.mark.parametrize("kind", ["policy", "pipeline"])
def test_damaged_states_are_rejected_or_decide_and_the_stage_goes_on(kind: str) -> None:
    import base64

    stage = bandit() if kind == "policy" else river()
    node = ResolvedNode(stage.context.node, type(stage), stage.settings, ())
    one = learned_models(node, stage.snapshot())[0]
    rng, answers = random.Random(1), []
    for version in range(1, 120):
        damaged = bytearray(one.state)
        for _ in range(rng.choice((1, 2, 16))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        given = {"state": base64.b64encode(damaged).decode()}
        given |= {"policy": "tip-linucb"} if kind == "policy" else {"candidate": "champion", "champion": True}  # type: ignore[dict-item]
        before = stage.snapshot()
        ack = stage.on_control(Command("c", "model", "", version, json.dumps(given).encode()))
        assert ack is not None
        assert ack.status in ("APPLIED", "REJECTED")
        if ack.status == "REJECTED":
            assert stage.snapshot() == before, "a refused state changed something"
        answers.append(ack.status)
        Outputs().give(stage, [("in", stream(3, seed=version))])
    assert answers.count("REJECTED") > 30


def test_the_commands_list_show_and_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEVFLOW_VAR", str(tmp_path))
    config.cache_clear()
    registry = ModelRegistry(tmp_path / "models")
    first, second = registry.save(b"one", META), registry.save(b"two", META)
    run = CliRunner().invoke
    listed = json.loads(run(cli, ["model", "list", "--json"]).stdout)
    assert [row["id"] for row in listed] == [first.id, second.id]
    assert json.loads(run(cli, ["model", "show", "tips@1", "--json"]).stdout)["id"] == first.id
    assert first.id[:12] in run(cli, ["model", "list"]).stdout
    rows = list(csv.DictReader(io.StringIO(run(cli, ["model", "list", "--csv"]).stdout)))
    assert [(row["model"], row["id"]) for row in rows] == [("tips@1", first.id), ("tips@2", second.id)]
    assert run(cli, ["model", "diff", first.id, "tips@1"]).exit_code == 0
    differ = run(cli, ["model", "diff", "tips@1", "tips@2", "--json"])
    assert {row["field"] for row in json.loads(differ.stdout)} == {"version", "id"}
    assert getattr(differ.exception, "exit_code", 0) == 4
    config.cache_clear()


def test_one_damaged_model_is_in_nobody_elses_way(tmp_path: Path) -> None:
    """A shard asks for a model by its id: what is known of another one may be unreadable."""
    registry = ModelRegistry(tmp_path)
    first, second = registry.save(b"one", META), registry.save(b"two", msgspec.structs.replace(META, name="zips"))
    for broken in (b"{", b"", b"\xff", b'{"name": 5}'):
        (tmp_path / "tips" / "1" / "meta.json").write_bytes(broken)
        assert registry.find(second.id) == second
        assert json.loads(with_state(json.dumps({"id": second.id}).encode(), tmp_path))["state"]
        with pytest.raises(UsageError, match="no model"):
            registry.find(first.id)


def test_a_model_is_where_it_lies_when_its_folder_was_copied(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    kept = registry.save(b"one", META)
    (tmp_path / "tips").rename(tmp_path / "tops")
    found = registry.find("tops")
    assert (found.name, found.version, found.id) == ("tops", 1, kept.id)
    assert registry.state(registry.find(kept.id)) == b"one"
