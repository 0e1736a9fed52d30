"""What a pipeline has learned, written and read: it goes on equal to the bit; what is no state is refused."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mevflow.operators.errors import StateError
from mevflow.operators.model.pipelines import Recipe, kind_of, pipeline, recipe_of, steps_of
from mevflow.operators.model.state import decode_steps, encode_steps

RECIPES = [
    "StandardScaler | LogisticRegression",
    ["MinMaxScaler", {"LogisticRegression": {"optimizer": "adam", "l2": 0.01}}],
    ["StandardScaler", {"LinearRegression": {"optimizer": "adam"}}],
    [{"HoeffdingTreeClassifier": {"grace_period": 50}}],
    [{"HoeffdingTreeRegressor": {"grace_period": 50, "max_depth": 3}}],
    ["StandardScaler", {"HoeffdingAdaptiveTreeClassifier": {"grace_period": 50, "seed": 3}}],
    [{"HoeffdingAdaptiveTreeRegressor": {"grace_period": 50, "max_depth": 3}}],
]
EVERY = pytest.mark.parametrize("recipe", [recipe_of(each) for each in RECIPES], ids=str)


def rows(count: int, seed: int = 1) -> list[tuple[dict[str, float], float]]:
    """Rows whose labels' sense changes in the middle, so that trees split and begin alternates."""
    rng = random.Random(seed)
    made = []
    for i in range(count):
        row = {f"f{j}": rng.gauss(0.0, 1.0) for j in range(6)}
        made.append((row, row["f0"] * 2 if (row["f1"] > 0) ^ (i > count // 2) else -row["f2"] * 4))
    return made


def teach(recipe: Recipe, steps: list[Any], given: list[tuple[dict[str, float], float]]) -> list[Any]:
    """Predict and learn; gives what was predicted."""
    model, classifies = pipeline(steps), kind_of(recipe) == "classifier"
    said = []
    for row, label in given:
        said.append(repr(model.predict_proba_one(row) if classifies else model.predict_one(row)))
        model.learn_one(row, label > 0 if classifies else label)
    return said


@EVERY
@pytest.mark.parametrize("learned", [0, 1, 1_500])
def test_saved_and_loaded_it_goes_on_for_1000_events_equal_to_the_bit(recipe: Recipe, learned: int) -> None:
    given = rows(learned + 1_000)
    steps = steps_of(recipe)
    teach(recipe, steps, given[:learned])
    state = encode_steps(recipe, steps)
    loaded = decode_steps(recipe, state)
    assert encode_steps(recipe, loaded) == state
    assert teach(recipe, steps, given[learned:]) == teach(recipe, loaded, given[learned:])
    assert encode_steps(recipe, steps) == encode_steps(recipe, loaded)


@pytest.mark.parametrize("seed", ["0", "77"])
def test_another_process_reads_it_and_writes_the_same(tmp_path: Path, seed: str) -> None:
    """Hashes of texts differ from process to process: nothing goes by them."""
    recipe = recipe_of(RECIPES[-1])
    steps = steps_of(recipe)
    teach(recipe, steps, rows(1_200))
    path = tmp_path / "state"
    path.write_bytes(encode_steps(recipe, steps))
    program = (
        "import sys, pathlib\n"
        "from tests.operators.model.test_state import *\n"
        "recipe, path = recipe_of(RECIPES[-1]), pathlib.Path(sys.argv[1])\n"
        "steps = decode_steps(recipe, path.read_bytes())\n"
        "teach(recipe, steps, rows(300, 5))\n"
        "path.write_bytes(encode_steps(recipe, steps))\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, env={"PYTHONHASHSEED": seed}, timeout=120)
    teach(recipe, steps, rows(300, 5))
    assert path.read_bytes() == encode_steps(recipe, steps)


@EVERY
def test_damaged_states_are_refused_or_can_be_decided_with(recipe: Recipe) -> None:
    """No damage ends the process, hangs it, or raises anything but StateError while it is read."""
    steps = steps_of(recipe)
    teach(recipe, steps, rows(600))
    state = encode_steps(recipe, steps)
    rng, refused = random.Random(9), 0
    for attempt in range(60):
        damaged = bytearray(state)
        for _ in range(rng.choice((1, 1, 2, 16))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            decode_steps(recipe, bytes(damaged[: rng.randrange(len(damaged))] if attempt % 6 == 0 else damaged))
        except StateError:
            refused += 1
    assert refused >= 10


def _changed(state: bytes, change: Any) -> bytes:
    content = msgspec.msgpack.decode(state)
    change(content)
    return msgspec.msgpack.encode(content)


def _set(name: str, label: str, value: Any) -> Any:
    def change(content: dict[str, Any]) -> None:
        fields = next(fields for kind, fields in content["objects"] if kind == name)
        fields[label] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["objects"].append(["Popen", {"args": "true"}]), "no class"),
        (lambda c: c["objects"][0].__setitem__(0, "os.system"), "no class"),
        (lambda c: c.update(river="0.1"), "river 0.1"),
        (lambda c: c.update(version=99), "version 99"),
        (lambda c: c["steps"].__setitem__(0, 99), "cannot be"),
        (lambda c: c["steps"].pop(), "steps"),
        (_set("LogisticRegression", "__class__", "str"), "attributes"),
        (_set("LogisticRegression", "intercept", "0"), "not num"),
        (_set("LogisticRegression", "intercept", float("nan")), "none"),
        (_set("LogisticRegression", "intercept", 1 << 62), "without measure"),
        (_set("StandardScaler", "counts", ["counter", [["f0", (1 << 64) - 1]]]), "without measure"),
        (_set("LogisticRegression", "loss", ["object", 10**6]), "refers"),
        (_set("LogisticRegression", "loss", ["object", -1]), "refers"),
        (_set("StandardScaler", "means", ["dict", []]), "not floats"),
        (_set("StandardScaler", "means", ["floats", [["a", "b"]]]), "holds a str"),
        (_set("StandardScaler", "means", ["eval", "1"]), "no container"),
    ],
)
def test_what_the_table_does_not_list_is_refused(change: Any, said: str) -> None:
    recipe = recipe_of(RECIPES[0])
    steps = steps_of(recipe)
    teach(recipe, steps, rows(20))
    with pytest.raises(StateError, match=said):
        decode_steps(recipe, _changed(encode_steps(recipe, steps), change))


def test_a_state_of_another_pipeline_is_refused() -> None:
    mine, other = recipe_of(RECIPES[0]), recipe_of(["StandardScaler", {"LogisticRegression": {"lr": 0.5}}])
    with pytest.raises(StateError, match="another pipeline"):
        decode_steps(other, encode_steps(mine, steps_of(mine)))


def test_an_adwin_window_is_measured_before_river_reads_it() -> None:
    """River's reader of these bytes panics, or takes what is no number."""
    recipe = recipe_of(RECIPES[-1])
    steps = steps_of(recipe)
    teach(recipe, steps, rows(600))
    content = msgspec.msgpack.decode(encode_steps(recipe, steps))
    window = next(fields for kind, fields in content["objects"] if kind == "AdaptiveWindowing")
    whole = window["window"]
    for wrong in (
        b"",
        whole[:-1],
        whole + b"\0",
        whole[:84] + b"\xff" * 8 + whole[92:],
        whole[:92] + b"\xff" * 40 + whole[132:],
        b"\0" * 7 + whole[7:],  # another delta than it is made with
        whole[:34] + b"\xff" + whole[35:],  # another grace period
        whole[:-28] + b"\0" * 7 + whole[-21:],  # the delta once more
    ):
        window["window"] = wrong
        with pytest.raises(StateError):
            decode_steps(recipe, msgspec.msgpack.encode(content))


@pytest.mark.parametrize("splits", [1 << 40, 0, 10.0, True])
def test_a_tree_that_would_loop_for_ever_is_refused(splits: Any) -> None:
    """The number of split points is nobody's parameter, and every split counts up to it."""
    recipe = recipe_of(RECIPES[3])
    steps = steps_of(recipe)
    teach(recipe, steps, rows(120))
    with pytest.raises(StateError, match=r"n_splits is"):
        decode_steps(recipe, _changed(encode_steps(recipe, steps), _set("GaussianSplitter", "n_splits", splits)))


@pytest.mark.parametrize(
    ("label", "value"), [("delta", 1e154), ("clock", (1 << 30) + 32), ("clock", 32.0), ("max_buckets", 6)]
)
def test_a_window_is_made_anew_by_what_river_makes_it_with(label: str, value: float) -> None:
    """A tree makes windows by these numbers; what they came to would be no state, and no shard could begin from it."""
    recipe = recipe_of(RECIPES[5])
    state = encode_steps(recipe, steps_of(recipe))
    with pytest.raises(StateError, match=rf"{label} is"):
        decode_steps(recipe, _changed(state, _set("ADWIN", label, value)))


@pytest.mark.parametrize(
    ("step", "name", "label", "value"),
    [
        (3, "HoeffdingTreeClassifier", "grace_period", 0),
        (3, "HoeffdingTreeClassifier", "max_depth", 3),
        (4, "HoeffdingTreeRegressor", "delta", 0.9),
        (4, "LinearRegression", "l2", 0.5),  # the tree makes its leaves' models like this one
        (0, "LogisticRegression", "l2", 1e300),
        (0, "Constant", "learning_rate", 7.0),
        (0, "StandardScaler", "with_std", False),
    ],
)
def test_a_state_brings_what_was_learned_and_no_parameters(step: int, name: str, label: str, value: Any) -> None:
    """What `mevflow model show` says of a model would else not be what runs."""
    recipe = recipe_of(RECIPES[step])
    state = encode_steps(recipe, steps_of(recipe))
    with pytest.raises(StateError, match="other parameters"):
        decode_steps(recipe, _changed(state, _set(name, label, value)))


def _tree_state() -> dict[str, Any]:
    """A tree that has split, as plain data."""
    recipe = recipe_of(RECIPES[4])
    steps = steps_of(recipe)
    teach(recipe, steps, rows(400))
    content: dict[str, Any] = msgspec.msgpack.decode(encode_steps(recipe, steps))
    return content


def _number(content: dict[str, Any], name: str) -> int:
    return next(number for number, (kind, _) in enumerate(content["objects"]) if kind == name)


def test_what_has_one_place_is_held_once() -> None:
    """Forty nodes that each hold the next one twice are a tree of 2^40 nodes: its first split would not end."""
    content = _tree_state()
    nodes = [fields for kind, fields in content["objects"] if kind == "EBSTNode"]
    node = next(fields for fields in nodes if fields["_left"] or fields["_right"])
    node["_left"] = node["_right"] = node["_left"] or node["_right"]
    with pytest.raises(StateError, match="EBSTNode is held twice"):
        decode_steps(recipe_of(RECIPES[4]), msgspec.msgpack.encode(content))
    content = _tree_state()
    branch = next(fields for kind, fields in content["objects"] if kind == "NumericBinaryBranch")
    branch["children"][1] = [branch["children"][1][0]] * 2
    with pytest.raises(StateError, match="is held twice"):
        decode_steps(recipe_of(RECIPES[4]), msgspec.msgpack.encode(content))


def test_a_state_is_not_nested_without_end_and_holds_no_endless_containers() -> None:
    content = _tree_state()
    at = _number(content, "EBSTNode")
    var, mean = _number(content, "Var"), _number(content, "Mean")
    chain = []
    for level in range(10_001):
        number = at + 3 * level
        mine = [
            ["Mean", content["objects"][mean][1]],
            ["Var", content["objects"][var][1] | {"mean": ["object", number]}],
        ]
        left = ["object", number - 1] if level else None
        node = {"att_val": 0.5, "estimator": ["object", number + 1], "_left": left, "_right": None}
        chain += [*mine, ["EBSTNode", node]]
    content["objects"][at:] = chain
    with pytest.raises(StateError, match="nested more than"):
        decode_steps(recipe_of(RECIPES[4]), msgspec.msgpack.encode(content))
    recipe = recipe_of(RECIPES[0])
    steps = steps_of(recipe)
    teach(recipe, steps, rows(20))
    wide = ["floats", [[f"f{i}", 1.0] for i in range(1_001)]]
    with pytest.raises(StateError, match="holds 1,001 entries"):
        decode_steps(recipe, _changed(encode_steps(recipe, steps), _set("StandardScaler", "means", wide)))
