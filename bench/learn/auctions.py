"""Made-up sealed-bid auctions with known rivals: the auction policy beside an oracle, fixed arms, LinUCB and VW CATS.

Synthetic, and called so: values are log-normal, and the highest rival bids a share of the value that is log-normal, has
two modes, or drifts. Nothing but win or loss is told.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mevflow.bench.learn.setting import default_policy, figure
from mevflow.operators.learn import Policy, draw
from mevflow.operators.learn.auction import TipAuction

AUCTIONS, WARM = 20_000, 5_000
LEVELS = 50
_SIX = ("0.1", "0.25", "0.5", "0.75", "0.9", "skip")
RIVALS = ("lognormal", "bimodal", "drifting")


def figures(seeds: int = 20) -> list[dict[str, Any]]:
    """Surplus after 5,000 auctions as a part of the oracle's, and on how many seeds peers are beaten."""
    found = []
    for kind in RIVALS:
        runs = [_run(kind, seed) for seed in range(seeds)]
        part = float(np.mean([run["ours"] / run["oracle"] for run in runs]))
        found.append(figure(f"{kind}: surplus, part of the oracle's", part, "", "aim of .95", 0.95))
        for peer in ("linucb", "cats"):
            if peer in runs[0]:
                won = float(np.mean([run["ours"] > run[peer] for run in runs]))
                mean = float(np.mean([run[peer] / run["oracle"] for run in runs]))
                label = "6-arm LinUCB" if peer == "linucb" else "VW CATS"
                found.append(
                    figure(f"{kind}: seeds won against {label} ({mean:.2f})", won, "of seeds", "aim of .9", 0.9)
                )
        if kind == "bimodal":
            ratio = float(np.mean([run["ours"] / run["fixed"] for run in runs]))
            found.append(figure("bimodal: surplus beside the best of six fixed arms", ratio, "x", "aim of 1.2", 1.2))
        if kind != "drifting":
            ks = float(np.mean([run["ks"] for run in runs]))
            found.append(figure(f"{kind}: distance of F where it bid", ks, "KS", "aim of .05", 0.05, lower=True))
    return found


def rivals(kind: str, place: float, rng: np.random.Generator, count: int = AUCTIONS) -> np.ndarray:
    """The highest rival bid of each auction, as a share of the value. ``place`` in [0, 1] shifts the law."""
    if kind == "lognormal":
        return np.exp(rng.normal(np.log(0.2 + 0.4 * place), 0.35, count))
    if kind == "bimodal":
        # Both modes lie between the six usual arms: 0.25 and 0.5, 0.75 and 0.9.
        low, high = rng.normal(np.log(0.27 + 0.05 * place), 0.06, count), rng.normal(np.log(0.8), 0.05, count)
        return np.exp(np.where(rng.random(count) < 0.6, low, high))
    return np.exp(rng.normal(np.log(_centre(place, count)), 0.25))


def _centre(place: float, count: int) -> np.ndarray:
    return 0.35 + 0.15 * np.sin((np.arange(count) / AUCTIONS + place) * 2.0 * np.pi)


def _run(kind: str, seed: int) -> dict[str, float]:
    rng = np.random.default_rng([seed, RIVALS.index(kind)])
    place = rng.random()
    values, rival = np.exp(rng.normal(1.0, 0.8, AUCTIONS)), rivals(kind, place, rng)
    grid = [f"{share:.2f}" for share in np.arange(1, LEVELS) / LEVELS] + ["skip"]
    policy = _named("tip-auction", grid)
    shares = np.array([0.0 if arm == "skip" else float(arm) for arm in grid])
    six = np.array([0.0 if arm == "skip" else float(arm) for arm in _SIX])

    def surplus(share: np.ndarray) -> float:
        """After the warm-up; the policy was paid for all."""
        won = (rival < share) & (share > 0.0)
        return float((values * (1.0 - share) * won)[WARM:].sum())

    found = {
        "ours": surplus(_bids(policy, shares, rival, seed)),
        "linucb": surplus(_bids(_named("tip-linucb", list(_SIX)), six, rival, seed)),
        "oracle": _oracle(kind, place, values, rival),
        "fixed": max(surplus(np.full(AUCTIONS, share)) for share in six[:-1]),
    }
    assert isinstance(policy, TipAuction)
    truth = np.array([(rival < share).mean() for share in shares])
    tried = (policy.bids > 20.0) & (shares > 0.0)
    found["ks"] = float(np.abs(policy.below() - truth)[tried].max())
    cats = _cats(rival, seed)
    if cats is not None:
        found["cats"] = surplus(cats)
    return found


def _named(name: str, arms: list[str]) -> Policy:
    policy = default_policy(name, len(arms), 1)
    policy.arm_names = arms
    return policy


def _bids(policy: Policy, shares: np.ndarray, rival: np.ndarray, seed: int) -> np.ndarray:
    """The share bid in each auction; outcomes come in groups of ten, as blocks bring them."""
    seeds = np.random.default_rng([seed, 77]).integers(0, 1 << 63, len(rival)).astype(np.uint64)
    eligible, x = np.ones((len(shares), 10), np.bool_), np.ones((1, 10))
    out = np.empty(len(rival))
    for at in range(0, len(rival), 10):
        chances = policy.propose(x, eligible).propensities
        arms = draw(chances, seeds[at : at + 10])
        bid = shares[arms]
        won = (rival[at : at + 10] < bid) & (bid > 0.0)
        rewards = np.where(won, 1.0 - bid, np.where(bid > 0.0, -0.0005, 0.0))
        policy.update(x.T, arms, rewards, chances[arms, np.arange(10)])
        out[at : at + 10] = bid
    return out


def _oracle(kind: str, place: float, values: np.ndarray, rival: np.ndarray) -> float:
    """Surplus of the best bid for the true law of that moment (it does not see the rival's bid)."""
    shares = np.arange(1, 500) / 500
    if kind != "drifting":
        law = rivals(kind, place, np.random.default_rng(999), 200_000)
        below = np.searchsorted(np.sort(law), shares) / len(law)
        best = np.full(AUCTIONS, shares[((1.0 - shares) * below).argmax()])
    else:
        noise = np.sort(np.exp(np.random.default_rng(998).normal(0.0, 0.25, 100_000)))
        centre = _centre(place, AUCTIONS)
        best = np.empty(AUCTIONS)
        for at in range(0, AUCTIONS, 100):
            below = np.searchsorted(noise, shares / centre[at]) / len(noise)
            best[at : at + 100] = shares[((1.0 - shares) * below).argmax()]
    return float((values * (1.0 - best) * (rival < best))[WARM:].sum())


def _cats(rival: np.ndarray, seed: int) -> np.ndarray | None:
    try:
        from vowpalwabbit import Workspace
    except ImportError:
        return None
    vw = Workspace(
        f"--cats 32 --bandwidth 0.03 --min_value 0 --max_value 1 --epsilon 0.02 -l 0.5 --quiet --random_seed {seed + 1}"
    )
    out = np.empty(len(rival))
    for i, other in enumerate(rival.tolist()):
        share, density = vw.predict("ca | one:1")
        reward = 1.0 - share if other < share else 0.0
        vw.learn(f"ca {share:.6f}:{-reward:.6f}:{density:.6f} | one:1")
        out[i] = share
    vw.finish()
    return out
