"""ImageSegments as a bandit: seven arms, reward 1 for the class and 0 for any other; ours beside river and MABWiser.

The data is river's (2,310 outdoor images, 18 features; Vision Group, University of Massachusetts 1990). Everybody gets
the same rows in the same order, with standardised features.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from mevflow.bench.learn.setting import default_policy, figure
from mevflow.operators.learn import draw

_SEEDS = 5


def figures() -> list[dict[str, Any]]:
    """Mean reward over the seeds, beside each peer in the same run."""
    x, y = segments()
    orders = [np.random.default_rng(seed).permutation(len(y)) for seed in range(_SEEDS)]
    ours = {name: _mean(_ours(name, x[o], y[o], seed) for seed, o in enumerate(orders)) for name in _OURS}
    river = _mean(_river(x[o], y[o], seed) for seed, o in enumerate(orders))
    found = [
        figure("ImageSegments reward, tip-linucb", ours["tip-linucb"], "reward", "aim of .870", 0.870),
        figure(
            "ImageSegments reward, tip-linucb", ours["tip-linucb"], "reward", f"river {river:.3f} + .005", river + 0.005
        ),
        *(
            figure(f"ImageSegments reward, {name}", ours[name], "reward", f"river LinUCBDisjoint {river:.3f}", river)
            for name in _OURS[1:]
        ),
    ]
    for label, reward in _mabwiser(x, y, orders).items():
        found.append(
            figure(
                "ImageSegments reward, tip-linucb",
                ours["tip-linucb"],
                "reward",
                f"MABWiser {label} {reward:.3f}",
                reward,
            )
        )
    vowpal = _vowpal(x, y, orders)
    if vowpal is not None:
        found.append(
            figure(
                "ImageSegments reward, tip-linucb", ours["tip-linucb"], "reward", f"VW squarecb {vowpal:.3f}", vowpal
            )
        )
    return found


_OURS = ("tip-linucb", "tip-lints", "tip-squarecb")


def segments() -> tuple[np.ndarray, np.ndarray]:
    """``x[rows, features]``, standardised with a constant first, and the class of each row."""
    from river import datasets

    rows = [(list(features.values()), label) for features, label in datasets.ImageSegments()]
    x = np.array([features for features, _ in rows], np.float64)
    _, y = np.unique([label for _, label in rows], return_inverse=True)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    return np.column_stack([np.ones(len(x)), x]), y


def _ours(name: str, x: np.ndarray, y: np.ndarray, seed: int) -> float:
    arms = int(y.max()) + 1
    policy = default_policy(name, arms, x.shape[1])
    eligible = np.ones((arms, 1), np.bool_)
    seeds = np.random.default_rng(seed).integers(0, 1 << 63, len(y)).astype(np.uint64)
    total = 0.0
    for i in range(len(y)):
        context = x[i : i + 1]
        chances = policy.propose(np.ascontiguousarray(context.T), eligible).propensities
        arm = draw(chances, seeds[i : i + 1])
        reward = float(arm[0] == y[i])
        policy.update(context, arm, np.array([reward]), chances[arm, 0])
        total += reward
    return total / len(y)


def _river(x: np.ndarray, y: np.ndarray, seed: int) -> float:
    from river import bandit

    policy, arms, total = bandit.LinUCBDisjoint(seed=seed), cast("list[int | str]", list(range(int(y.max()) + 1))), 0.0
    for row, label in zip(x, y.tolist(), strict=True):
        context = dict(enumerate(row.tolist()))
        arm = policy.pull(arms, context=context)
        reward = float(arm == label)
        policy.update(arm, context, reward)
        total += reward
    return total / len(y)


def _mabwiser(x: np.ndarray, y: np.ndarray, orders: list[np.ndarray]) -> dict[str, float]:
    try:
        from mabwiser.mab import MAB, LearningPolicy
    except ImportError:
        return {}

    def one(kind: Any, order: np.ndarray, seed: int) -> float:
        rows, labels = x[order], y[order]
        mab = MAB(list(range(int(y.max()) + 1)), kind, seed=seed)
        mab.fit([0], [0.0], contexts=rows[:1] * 0.0)
        total = 0.0
        for i in range(len(labels)):
            arm = mab.predict(rows[i : i + 1])
            reward = float(arm == labels[i])
            mab.partial_fit([arm], [reward], contexts=rows[i : i + 1])
            total += reward
        return total / len(labels)

    return {"LinUCB": _mean(one(LearningPolicy.LinUCB(alpha=0.5), order, seed) for seed, order in enumerate(orders))}


def _vowpal(x: np.ndarray, y: np.ndarray, orders: list[np.ndarray]) -> float | None:
    try:
        from vowpalwabbit import Workspace
    except ImportError:
        return None
    arms = int(y.max()) + 1

    def one(order: np.ndarray, seed: int) -> float:
        vw = Workspace(f"--cb_explore {arms} --squarecb --gamma_scale 1000 -l 0.5 --quiet --random_seed {seed}")
        rng, total = np.random.default_rng(seed), 0.0
        for row, label in zip(x[order], y[order].tolist(), strict=True):
            text = "| " + " ".join(f"f{j}:{value:.6g}" for j, value in enumerate(row.tolist()))
            chances = np.array(vw.predict(text))
            arm = int(rng.choice(arms, p=chances / chances.sum()))
            reward = float(arm == label)
            vw.learn(f"{arm + 1}:{-reward}:{chances[arm]} {text}")
            total += reward
        vw.finish()
        return total / len(order)

    return _mean(one(order, seed) for seed, order in enumerate(orders))


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))
