"""What callers send to be looked at costs others nothing, leaves nothing behind, and sees no file or environment."""

import asyncio
import base64
import json
from pathlib import Path

import pytest

from mevflow.control.auth.identity import Identity, Role
from mevflow.control.commands.checks import Checks
from mevflow.control.commands.rehearsal import Given, rehearse
from mevflow.control.refusal import Refused
from mevflow.operators.decide.settings import BanditSettings
from mevflow.v1 import control_service_pb2 as pb

EVE = Identity("eve", Role.VIEWER)
TEXT = """\
version: 1
topologies:
  mine:
    nodes:
      swaps: {{use: kafka.source, with: {{topic: t, bootstrap: "b:1"}}}}
      decoded: {{use: decode, from: swaps, with: {{message: "{message}"}}}}
      found: {{use: arbitrage.detect, from: {{swaps: decoded}}, with: {{registry: "{registry}"}}}}
      gone: {{use: discard.sink, from: [found.opportunities, decoded.errors, found.errors]}}
"""


async def found(handlers, yaml):
    reply = await handlers.validate_topology(pb.ValidateTopologyRequest(yaml=yaml), EVE)
    return [(problem.key, problem.message + problem.suggestion) for problem in reply.problems]


async def test_a_callers_text_is_filled_with_nothing(handlers, monkeypatch):
    monkeypatch.setenv("MEVFLOW_TEST_SECRET", "very-secret")
    text = TEXT.format(message="${MEVFLOW_TEST_SECRET}", registry="x")
    problems = await found(handlers, text)
    assert problems
    assert "very-secret" not in str(problems)
    assert not await found(handlers, TEXT.format(message="${NOWHERE:-mevflow.v1.Swap}", registry="x"))


@pytest.mark.parametrize("registry", ["secret.yaml", "/etc/passwd", "nowhere.yaml", "/dev/zero", "/dev/stdin"])
async def test_a_callers_text_opens_no_file(handlers, tmp_path, registry):
    secret = tmp_path / "secret.yaml"
    secret.write_text("tokens: [{very: secret}]\nvery-secret: [\n")
    path = secret if registry == "secret.yaml" else Path(registry)
    assert not await found(handlers, TEXT.format(message="mevflow.v1.Swap", registry=path))


async def test_what_the_services_own_file_was_filled_with_is_not_quoted(tmp_path, monkeypatch):
    monkeypatch.setenv("MEVFLOW_TEST_SECRET", "very-secret")
    registry = tmp_path / "pools.yaml"
    registry.write_text("tokens: [{chain: very-foreign, mint: x, symbol: y, decimals: 1}]\n")
    file = tmp_path / "topologies.yaml"
    file.write_text(TEXT.format(message="${MEVFLOW_TEST_SECRET}", registry=registry))
    checks = Checks()
    problems = await checks.inspect("ann", file, [], "")
    assert len(problems) >= 2
    assert "very" not in str(problems)
    assert "${MEVFLOW_TEST_SECRET}" in str(problems)
    await checks.close()


ALIASES = "a0: &a0 [1, 1]\n" + "".join(f"a{n + 1}: &a{n + 1} [" + ", ".join([f"*a{n}"] * 10) + "]\n" for n in range(12))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n + 1}: &a{n + 1} {{<<: [*a{n}, *a{n}]}}\n" for n in range(40))


@pytest.mark.parametrize(
    "text",
    [
        ALIASES,
        MERGES,
        "[" * 3_000,
        "[" * 100_000,
        "{a: " * 3_000,
        "- " * 3_000,
        "? " * 3_000,
        "a: &a [*a]",
        "version: " + "9" * 5_000,
        "a: 2001-99-99",
        "a: !!float x",
        "a: !!python/object:os.system x",
        "a: 1e-999999999",
        "\x00",
        "!",
        "&",
        "%",
        "a: " + "1:" * 10_000 + "1",
    ],
    ids=range(18),
)
async def test_hostile_yaml_is_refused_or_found_wrong(handlers, text):
    try:
        said = await found(handlers, text)
    except Refused as error:
        said = [(error.code, error.reason)]
    assert said
    # It was bounded before work was done, not ended in the middle of it.
    assert not {"CHECK_TOO_LONG", "CHECK_ENDED", "INTERNAL"}.intersection(*zip(*said, strict=True))


async def test_a_check_that_takes_too_long_is_ended_and_holds_nobody_up(tmp_path):
    """A plain list of many topologies, each of which is checked: slow, and of a good size."""
    checks = Checks(seconds=1)
    body = "".join(f"  t{n}: {{nodes: {{a: {{use: discard.sink, from: b}}}}}}\n" for n in range(4_000))
    text = "version: 1\ntopologies:\n" + body
    slow = asyncio.create_task(checks.inspect("eve", tmp_path / "a", [], text))
    assert await checks.inspect("ann", tmp_path / "b", [], "version: 2")
    with pytest.raises(Refused) as refused:
        await slow
    assert refused.value.reason == "CHECK_TOO_LONG"
    assert await checks.inspect("eve", tmp_path / "a", [], "version: 2")
    await checks.close()


FILE = Path(__file__).parents[2] / "topologies.yaml"
MODELS = Path("no such folder")


def policy(*arms, **more):
    payload = {"policy": "tip-linucb", "arms": [*arms, "skip"], "exploration": 0.05, **more}
    return Given("policy", "decided", json.dumps(payload).encode())


def model(*arms):
    spec = BanditSettings(arms=(*arms, "skip"), exploration=0.05).spec if arms else BanditSettings().spec
    state = spec.make().snapshot()
    payload = {"policy": "tip-linucb", "state": base64.b64encode(state).decode()}
    return Given("model", "decided", json.dumps(payload).encode())


SEVEN = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6")


def test_a_question_leaves_nothing_behind():
    seven = policy(*SEVEN)
    for _ in range(2):
        assert [v.reason for v in rehearse(FILE, "detect-live", model(), [], MODELS)] == [""]
        assert [v.reason for v in rehearse(FILE, "detect-live", seven, [], MODELS)] == [""]
        broken = {"policy": "tip-linucb", "state": base64.b64encode(b"no state").decode()}
        given = Given("model", "decided", json.dumps(broken).encode())
        assert [v.reason for v in rehearse(FILE, "detect-live", given, [], MODELS)] == ["bad_model"]
        # Beside the policy that is in force it is judged as the shards would.
        assert [v.reason for v in rehearse(FILE, "detect-live", model(*SEVEN), [seven], MODELS)] == [""]


def test_a_model_that_is_not_registered_is_said_to_be_missing_by_every_stage_it_is_for():
    payload = json.dumps({"policy": "tip-linucb", "id": "0" * 64}).encode()
    assert [v.reason for v in rehearse(FILE, "detect-live", Given("model", "decided", payload), [], MODELS)] == [
        "no_model"
    ]


@pytest.mark.parametrize(
    "arm", ["1e-3000000", "1e-999", "0." + "1" * 5_000, "1" * 100_000 + "/" + "7" * 100_000, "0x1p-3", "nan", "\u0661"]
)
def test_a_number_is_measured_before_it_is_one(arm):
    verdicts = rehearse(FILE, "detect-live", policy(arm), [], MODELS)
    assert verdicts[0].reason in ("out_of_bounds", "malformed")
    assert len(verdicts[0].detail) < 500


def test_an_address_is_measured_before_it_is_decoded():
    payload = {"min_profit_usd": 1, "deny_pools": ["z" * 800_000]}
    verdicts = rehearse(FILE, "detect-live", Given("policy", "found", json.dumps(payload).encode()), [], MODELS)
    assert verdicts[0].reason == "bad_address"
    assert len(verdicts[0].detail) < 500


@pytest.mark.parametrize("payload", [b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b'{"a": NaN}', b'{"a": 1e999}'])
async def test_a_payload_that_two_readers_take_for_two_things_is_refused(handlers, topology, payload):
    for call in (handlers.validate, handlers.plan):
        with pytest.raises(Refused) as refused:
            await call(pb.PolicyRequest(topology=topology, target="found", payload=payload), EVE)
        assert refused.value.reason == "MALFORMED_JSON"


@pytest.mark.parametrize("payload", [b"[" * 100_000, b'{"a":' * 20_000, b"[" * 100 + b"]" * 100, b"9" * 5_000, b"\xff"])
async def test_a_payload_that_is_nested_too_deep_is_refused(handlers, topology, payload):
    for call in (handlers.validate, handlers.plan):
        with pytest.raises(Refused) as refused:
            await call(pb.PolicyRequest(topology=topology, target="found", payload=payload), EVE)
        assert refused.value.reason == "MALFORMED_JSON"
