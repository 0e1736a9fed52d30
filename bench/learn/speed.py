"""Decisions with their updates a CPU second, one at a time, beside river and Vowpal Wabbit on the same contexts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from mevflow.bench.learn.setting import default_policy, figure
from mevflow.operators.learn import Policy, draw

_ARMS, _FEATURES, _ROUNDS = 8, 20, 2_000


def figures() -> list[dict[str, Any]]:
    """Ratios to each peer; the aims are ratios themselves."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(_ROUNDS, _FEATURES))
    x[:, 0] = 1.0
    rewards = rng.random((_ROUNDS, _ARMS))
    ours = {
        name: _rate(_ours(default_policy(name, _ARMS, _FEATURES), x, rewards))
        for name in ("tip-linucb", "tip-lints", "tip-squarecb")
    }
    river = _rate(_river(x, rewards))
    found = [
        figure(f"{name}, decision and update", rate / river, "x river LinUCBDisjoint", aim, bar)
        for (name, rate), (aim, bar) in zip(ours.items(), (("aim of 10", 10.0), ("", 0.0), ("", 0.0)), strict=True)
    ]
    vowpal = _vowpal(x, rewards)
    if vowpal is not None:
        found.append(figure("tip-linucb", ours["tip-linucb"] / _rate(vowpal), "x VW squarecb", "aim of 1.5", 1.5))
    thompson = _rate(_ours(default_policy("tip-thompson", _ARMS, 1), np.ones((_ROUNDS, 1)), rewards))
    peer = _rate(_river_thompson(rewards))
    found.append(figure("tip-thompson, one at a time", thompson / peer, "x river ThompsonSampling", "aim of 5", 5.0))
    return found


def _rate(rounds: Callable[[int], None]) -> float:
    """Rounds a CPU second; what compiles or caches does so before."""
    for i in range(50):
        rounds(i)
    begun = time.process_time()
    for i in range(50, _ROUNDS):
        rounds(i)
    return (_ROUNDS - 50) / (time.process_time() - begun)


def _ours(policy: Policy, x: np.ndarray, rewards: np.ndarray) -> Callable[[int], None]:
    eligible = np.ones((_ARMS, 1), np.bool_)
    seeds = np.random.default_rng(1).integers(0, 1 << 63, _ROUNDS).astype(np.uint64)

    def one(i: int) -> None:
        context = x[i : i + 1]
        chances = policy.propose(np.ascontiguousarray(context.T), eligible).propensities
        arm = draw(chances, seeds[i : i + 1])
        policy.update(context, arm, rewards[i, arm], chances[arm, 0])

    return one


def _river(x: np.ndarray, rewards: np.ndarray) -> Callable[[int], None]:
    from river import bandit

    policy, arms = bandit.LinUCBDisjoint(seed=1), cast("list[int | str]", list(range(_ARMS)))
    contexts = [dict(enumerate(row)) for row in x.tolist()]

    def one(i: int) -> None:
        arm = policy.pull(arms, context=contexts[i])
        policy.update(arm, contexts[i], float(rewards[i, int(arm)]))

    return one


def _river_thompson(rewards: np.ndarray) -> Callable[[int], None]:
    from river import bandit, proba

    policy, arms = bandit.ThompsonSampling(reward_obj=proba.Beta(), seed=1), cast("list[int | str]", list(range(_ARMS)))

    def one(i: int) -> None:
        arm = policy.pull(arms)
        policy.update(arm, bool(rewards[i, int(arm)] > 0.5))

    return one


def _vowpal(x: np.ndarray, rewards: np.ndarray) -> Callable[[int], None] | None:
    try:
        from vowpalwabbit import Workspace
    except ImportError:
        return None
    vw = Workspace(f"--cb_explore {_ARMS} --squarecb --quiet --random_seed 1")
    texts = ["| " + " ".join(f"f{j}:{value:.6g}" for j, value in enumerate(row)) for row in x.tolist()]
    rng = np.random.default_rng(2)

    def one(i: int) -> None:
        chances = np.array(vw.predict(texts[i]))
        arm = min(int(np.searchsorted(chances.cumsum(), rng.random())), _ARMS - 1)
        vw.learn(f"{arm + 1}:{-rewards[i, arm]}:{chances[arm]} {texts[i]}")

    return one
