"""No call brings a model into force that nobody registered or judged, or with a signature that is wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from pydantic import ValidationError

from mevflow.cli import main
from mevflow.control.auth.keys import make_key
from mevflow.control.refusal import Refused
from mevflow.control.server.model_gate import ModelGate
from mevflow.flows.config import config
from mevflow.flows.model_signatures import sign
from mevflow.flows.registry import ModelMeta, ModelRegistry, with_state
from mevflow.flows.steering.signatures import Signer
from mevflow.learning.verdict import ModelVerdict, note
from mevflow.operators.decide.control import ModelPayload, check_id
from mevflow.operators.errors import StateError, UsageError

STATE = b"what was learned"
META = ModelMeta(name="tips", kind="policy", learner="tip-linucb", chain="solana", lessons=500)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def judged(models: Path, high: float) -> ModelMeta:
    """A registered model that its newest evaluation gives at most ``high`` USD, where 0.4 were logged."""
    registry = ModelRegistry(models)
    meta = registry.save(STATE, META)
    verdict = ModelVerdict(
        id=meta.id, topology="t", run_id="", since="", until="", unit="episode", units=900, effective=640.0,
        logged=0.4, value=0.1, low=-0.1, high=high, refusals=[], needed=0,
    )  # fmt: skip
    note(registry, meta, verdict)
    return meta


def payload(**given: object) -> bytes:
    return json.dumps(given).encode()


def test_a_model_is_known_by_its_id_its_state_or_the_candidate_that_brought_it(models: Path) -> None:
    meta = judged(models, high=0.3)
    gate = ModelGate(models, None, signed=False)
    joined = payload(candidate="quick", id=meta.id)
    promoted = payload(candidate="quick", champion=True)
    asked: list[tuple[bytes, list[bytes]]] = [
        (payload(policy="tip-linucb", id=meta.id), []),
        (payload(policy="tip-linucb", state=base64.b64encode(STATE).decode()), []),
        (promoted, [payload(candidate="other", id="0" * 64), promoted, joined, payload(candidate="quick", id="1" * 9)]),
    ]
    for given, earlier in asked:
        with pytest.raises(Refused, match=r"at most \+0.3000 USD each") as refused:
            gate.passed(given, earlier, False, "drill")
        assert (refused.value.code, refused.value.reason) == ("FAILED_PRECONDITION", "BELOW_THE_GATE")
        reason = gate.passed(given, earlier, True, "drill")
        assert reason.startswith("forced: tips@1: its newest evaluation")
        assert reason.endswith("; drill")
    judged(models, high=0.5)
    for given, earlier in asked[:2]:
        assert gate.passed(given, earlier, False, "drill") == "drill"


@pytest.mark.parametrize(
    "given",
    [b"", b"[", b"[" * 50_000, b"\xff", b"[]", payload(policy="tip-ucb1"), payload(state="%"), payload(id=7),
     payload(candidate="quick", champion="yes")],
)  # fmt: skip
def test_what_brings_nothing_learned_is_the_stages_to_judge(models: Path, given: bytes) -> None:
    judged(models, high=0.3)
    assert ModelGate(models, None, signed=False).passed(given, [b"[", b"{}"], False, "") == ""


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (payload(id="0" * 64), "UNREGISTERED", "nobody has registered model 000000000000: mevflow train"),
        (payload(id="tips@2"), "UNREGISTERED", "nobody has registered model"),
        (payload(state="bm9ib2R5J3M="), "UNREGISTERED", "nobody has registered model"),
        (payload(candidate="quick", id="0" * 64), "UNREGISTERED", "nobody has registered model"),
        (payload(candidate="quick"), "BELOW_THE_GATE", "no evidence lets quick lead yet"),
        (payload(candidate="quick", champion=True), "BELOW_THE_GATE", "no evidence lets quick lead yet"),
    ],
)
def test_what_nobody_registered_and_who_leads_without_evidence_needs_force(
    models: Path, given: bytes, code: str, words: str
) -> None:
    judged(models, high=0.5)
    gate = ModelGate(models, None, signed=False)
    with pytest.raises(Refused, match=words) as refused:
        gate.passed(given, [], False, "drill")
    assert (refused.value.code, refused.value.reason) == ("FAILED_PRECONDITION", code)
    forced = gate.passed(given, [], True, "drill")
    assert forced.startswith(f"forced: {words}"), "the audit says what was passed over"
    assert forced.endswith("; drill")
    assert gate.passed(given, [], False, "drill", before=True) == "drill", "the way back is not barred"


def test_a_policy_needs_a_verdict_and_both_kinds_need_lessons(models: Path) -> None:
    registry, gate = ModelRegistry(models), ModelGate(models, None, signed=False)
    policy = registry.save(b"a policy", META)
    pipeline = registry.save(b"a pipeline", msgspec.structs.replace(META, name="landing", kind="pipeline"))
    young = registry.save(b"young", msgspec.structs.replace(META, name="young", kind="pipeline", lessons=99))
    for meta, words in ((policy, "nobody has judged it: mevflow evaluate --model tips@1"), (young, "99 lessons")):
        with pytest.raises(Refused, match=words) as refused:
            gate.passed(payload(id=meta.id), [], False, "")
        assert refused.value.reason == "BELOW_THE_GATE"
        assert gate.passed(payload(id=meta.id), [], False, "", before=True) == ""
    assert gate.passed(payload(candidate="landing", id=pipeline.id), [], False, "") == "", (
        "a challenger decides nothing"
    )
    with pytest.raises(Refused, match="no evidence lets landing lead yet"):
        gate.passed(payload(candidate="landing", id=pipeline.id, champion=True), [], False, "")


def test_a_former_model_that_was_judged_badly_since_comes_back_only_by_force(models: Path) -> None:
    meta = judged(models, high=0.3)
    gate = ModelGate(models, None, signed=False)
    with pytest.raises(Refused, match=r"at most \+0.3000 USD each"):
        gate.passed(payload(id=meta.id), [], False, "", before=True)
    assert gate.passed(payload(id=meta.id), [], True, "", before=True).startswith("forced: tips@1")


@pytest.mark.parametrize("form", [
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: text.decode().encode("utf-16"),
    lambda text: text.decode().encode("utf-16-le"),
    lambda text: text[:-1] + b', "state": null}',
    lambda text: text[:-1] + b', "state": 0}',
    lambda text: text[:-1] + b', "state": []}',
    lambda text: text[:-1] + b', "candidate": null}',
    lambda text: text[:-1] + b', "options": {"width": NaN}}',
], ids=["mark", "utf-16", "utf-16 without a mark", "null", "zero", "list", "candidate", "NaN"])  # fmt: skip
def test_what_the_gate_cannot_read_no_shard_reads_otherwise(models: Path, form: Callable[[bytes], bytes]) -> None:
    meta = judged(models, high=0.3)
    given = form(payload(policy="tip-linucb", id=meta.id))
    assert ModelGate(models, None, signed=False).passed(given, [], False, "r") == "r"
    assert with_state(given, models) == given
    with pytest.raises((ValidationError, StateError)):
        check_id(ModelPayload.model_validate_json(given).id, None)


def test_a_verdict_that_cannot_be_read_holds_the_model_up(models: Path) -> None:
    meta = judged(models, high=0.5)
    (models / "tips/1/verdict.json").write_bytes(b"{")
    with pytest.raises(Refused, match="cannot be read"):
        ModelGate(models, None, signed=False).passed(payload(id=meta.id), [], True, "")


def signer(folder: Path, name: str) -> Signer:
    make_key(folder / "keys" if name == "desk" else folder / "others", name, folder / f"private/{name}.pem")
    return Signer(folder / f"private/{name}.pem")


def test_a_signature_is_optional_and_never_wrong(models: Path, tmp_path: Path) -> None:
    meta, registry, desk = judged(models, high=0.5), ModelRegistry(models), signer(tmp_path, "desk")
    given = payload(id=meta.id)
    gate = ModelGate(models, tmp_path / "keys", signed=False)
    assert gate.passed(given, [], False, "r") == "r", "nobody has signed, and nobody must"
    sign(registry, meta, desk)
    assert gate.passed(given, [], False, "r") == "r"
    path = models / "tips/1/signature"
    right = path.read_bytes()
    other = registry.save(b"something else", META)
    sign(registry, other, desk)
    sign(registry, meta, signer(tmp_path, "stranger"))
    stranger = path.read_bytes()
    for wrong in (stranger, (models / "tips/2/signature").read_bytes(), b"", right[:-4], b"desk:", b"\xff" * 10_000):
        path.write_bytes(wrong)
        with pytest.raises(Refused) as refused:
            gate.passed(given, [], True, "r")
        assert refused.value.reason == "BAD_SIGNATURE", wrong
    path.write_bytes(right)
    (tmp_path / "keys/desk.pem").unlink()
    with pytest.raises(Refused):
        ModelGate(models, tmp_path / "keys", signed=False).passed(given, [], False, "r")


def test_where_signatures_are_asked_for_a_missing_one_is_refused(models: Path, tmp_path: Path) -> None:
    meta, desk = judged(models, high=0.5), signer(tmp_path, "desk")
    gate = ModelGate(models, tmp_path / "keys", signed=True)
    nobodys = payload(policy="tip-linucb", state=base64.b64encode(b"not registered").decode())
    for given in (payload(id=meta.id), payload(id="0" * 64), nobodys):
        with pytest.raises(Refused) as refused:
            gate.passed(given, [], True, "r")
        assert refused.value.reason == "UNSIGNED"
    assert gate.passed(payload(policy="tip-ucb1"), [], False, "r") == "r", "it brings nothing that was learned"
    sign(ModelRegistry(models), meta, desk)
    assert gate.passed(payload(id=meta.id), [], False, "r") == "r"
    (models / "tips/1/state").write_bytes(b"damaged")
    with pytest.raises(StateError):
        sign(ModelRegistry(models), meta, desk)
    with pytest.raises(UsageError, match="model_keys"):
        ModelGate(models, None, signed=True)
    with pytest.raises(UsageError):
        ModelGate(models, tmp_path / "nowhere", signed=False)


def test_a_signature_of_a_model_is_none_of_a_command(models: Path, tmp_path: Path) -> None:
    meta, desk = judged(models, high=0.5), signer(tmp_path, "desk")
    name, header = desk.header("", bytes.fromhex(meta.id))
    (models / "tips/1/signature").write_bytes(header)
    assert name == "mevflow-signature"
    with pytest.raises(Refused):
        ModelGate(models, tmp_path / "keys", signed=False).passed(payload(id=meta.id), [], False, "")
    assert msgspec.json.decode((models / "tips/1/verdict.json").read_bytes(), type=ModelVerdict).id == meta.id


def test_the_command_signs_what_the_service_then_takes(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    meta = judged(models, high=0.5)
    signer(tmp_path, "desk")
    monkeypatch.setenv("MEVFLOW_VAR", str(tmp_path))
    config.cache_clear()
    try:
        for key, code in (("desk", 0), ("nobody", 2)):
            with pytest.raises(SystemExit) as ended:
                main(["model", "sign", "tips", "--key", str(tmp_path / f"private/{key}.pem"), "--json"])
            assert ended.value.code == code
            assert (meta.id in capsys.readouterr().out) is (code == 0)
    finally:
        config.cache_clear()
    assert ModelGate(models, tmp_path / "keys", signed=True).passed(payload(id=meta.id), [], False, "r") == "r"
