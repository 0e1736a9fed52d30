"""A registered model is judged on logged decisions, and below the gate only force gives it to a topology."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from mevflow.cli import main
from mevflow.flows.config import config
from mevflow.flows.registry import ModelMeta, ModelRegistry
from mevflow.learning.evaluation.log import Floats, Log
from mevflow.learning.evaluation.report import evaluate
from mevflow.learning.verdict import model_chances, newest, note, shortfalls, verdict
from mevflow.operators.errors import StateError, UsageError
from mevflow.operators.learn import make_policy
from mevflow.processes.addresses import free_port

ARMS = ("0.1", "0.5", "skip")
META = ModelMeta(name="tips", kind="policy", learner="tip-epsilon", chain="solana", lessons=500)


def _log(count: int = 4_000, seed: int = 1) -> Log:
    """A uniform logger; 0.1 brings 1 USD, 0.5 loses 1, skip brings nothing."""
    rng = np.random.default_rng(seed)
    arms = rng.integers(0, 3, count)
    return Log(
        contexts=np.column_stack([np.ones(count), rng.normal(size=count)]),
        chances=np.full((count, 3), 1 / 3),
        arms=arms,
        rewards=np.array([1.0, -1.0, 0.0])[arms],
        episodes=np.arange(count),
        names=ARMS,
    )


def _state(best: str) -> bytes:
    """What an epsilon-greedy policy learned for which ``best`` is the best arm."""
    policy = make_policy("tip-epsilon", 3, 2, 0.05, {}, arm_names=ARMS)
    arms = np.repeat(np.arange(3), 100)
    rewards = np.where(arms == ARMS.index(best), 0.9, 0.1)
    policy.update(np.ones((300, 2)), arms, rewards, np.ones(300))
    return policy.snapshot()


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def _judge(registry: ModelRegistry, best: str, log: Log) -> tuple[ModelMeta, Floats]:
    """Register, evaluate, keep the verdict."""
    state = _state(best)
    meta = registry.save(state, META)
    chances = model_chances(log, meta, state)
    note(registry, meta, verdict(evaluate(log, chances), meta, "detect-live"))
    return meta, chances


def test_a_model_is_judged_by_what_it_would_have_done(registry: ModelRegistry) -> None:
    meta, chances = _judge(registry, "0.1", _log())
    assert (chances.argmax(axis=1) == 0).all()
    assert np.allclose(chances.sum(axis=1), 1.0)
    judged = newest(registry, meta)
    assert judged is not None
    assert judged.value is not None
    assert judged.logged is not None
    assert judged.value > 0.9 > judged.logged
    assert shortfalls(registry, meta) == []
    assert registry.find("tips") == meta


def test_a_model_that_would_have_brought_less_is_below_the_gate(registry: ModelRegistry) -> None:
    meta, _ = _judge(registry, "0.5", _log(40_000))
    (short,) = shortfalls(registry, meta)
    assert short.startswith("tips@1: its newest evaluation, on 40,000 decisions of detect-live, gives it at most -")


def test_a_log_that_cannot_answer_puts_a_model_below_the_gate_and_says_what_is_needed(registry: ModelRegistry) -> None:
    meta, _ = _judge(registry, "0.1", _log(60))
    (short,) = shortfalls(registry, meta)
    assert "cannot judge it: worth" in short
    assert "decisions more of this kind are needed" in short
    _judge(registry, "0.1", _log())
    assert shortfalls(registry, meta) == [], "the newest one counts"


def test_a_verdict_is_of_one_state_and_who_was_not_judged_is_below_the_gate(registry: ModelRegistry) -> None:
    meta, _ = _judge(registry, "0.1", _log(60))
    other = registry.save(_state("0.5"), META)
    assert newest(registry, other) is None
    assert shortfalls(registry, other) == ["tips@2: nobody has judged it: mevflow evaluate --model tips@2"]
    assert shortfalls(registry, other, before=True) == []
    kept = registry.folder / "tips" / "1" / "verdict.json"
    (registry.folder / "tips" / "2" / "verdict.json").write_bytes(kept.read_bytes())
    assert newest(registry, other) is None
    for broken in (b"{", b"\xff", b"{}"):
        kept.write_bytes(broken)
        with pytest.raises(StateError, match="newest evaluation cannot be read"):
            shortfalls(registry, meta)


def test_what_chooses_no_arms_or_cannot_decide_is_not_judged() -> None:
    log = _log(10)
    with pytest.raises(UsageError, match="is a pipeline"):
        model_chances(log, msgspec.structs.replace(META, kind="pipeline", learner="LogisticRegression"), b"")
    with pytest.raises(StateError, match="unreadable"):
        model_chances(log, META, b"no state")


def test_the_command_refuses_below_the_gate_and_asks_the_service_only_when_forced(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    meta, _ = _judge(registry, "0.1", _log(60))
    monkeypatch.setenv("MEVFLOW_VAR", str(tmp_path))
    config.cache_clear()
    nobody = f"127.0.0.1:{free_port()}"
    try:
        for given, forced, code in (
            ("tips", (), 4),
            ("tips", ("--force",), 3),
            (json.dumps({"policy": "tip-epsilon", "id": meta.id}), (), 4),
            (json.dumps({"policy": "tip-epsilon", "id": "0" * 64}), (), 3),
        ):
            with pytest.raises(SystemExit) as ended:
                main(["model", "swap", "detect-live", "decided", given, "--address", nobody, *forced])
            said = capsys.readouterr().err
            assert ended.value.code == code, said
            assert ("cannot judge it" in said) is (code == 4)
    finally:
        config.cache_clear()
