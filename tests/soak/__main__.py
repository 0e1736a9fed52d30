"""``make soak MINUTES=30``: swaps at a steady rate, a tenfold burst, garbage beside them. Writes docs/reliability.md.

The first part is the warm-up, over which memory may grow. Lag is what the shard says it is behind.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mevflow.clickhouse.client import connect
from mevflow.flows.runtime import deploy
from mevflow.flows.runtime.layout import Layout
from mevflow.processes.environment import environment
from tests.chaos.place import Place
from tests.chaos.world import ROOT, STALL_S, World
from tests.reliability import keep

GARBAGE_PER_S = 100_000
#: Parts of the whole time; the warm-up is a part of the steady part.
_WARM_SHARE, _BURST_SHARE, _GARBAGE_SHARE = 0.3, 0.1, 0.2
#: A slope below this, over the measured part, is flat: in MB a minute.
FLAT_MB_PER_MIN = 2.0


@dataclass
class Samples:
    """Once a second: resident memory of the shard, rows behind."""

    at_s: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)

    def take(self, layout: Layout, began: float) -> None:
        said = deploy.shard_status(layout, 0)
        try:
            pages = int(Path(f"/proc/{said['pid']}/statm").read_text().split()[1])
        except (OSError, KeyError):
            return
        self.at_s.append(time.monotonic() - began)
        self.rss_mb.append(pages * 4096 / (1 << 20))
        self.behind.append(int(said.get("behind", 0)))

    def slope_mb_per_min(self, since_s: float) -> float:
        """Of the least squares line through the memory after ``since_s``."""
        chosen = [(at, mb) for at, mb in zip(self.at_s, self.rss_mb, strict=True) if at >= since_s]
        if len(chosen) < 3:
            return 0.0
        return float(60 * np.polyfit([at for at, _ in chosen], [mb for _, mb in chosen], 1)[0])


def main() -> int:
    """Exit code 1 when lag stays, memory grows, or good rows are missing."""
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--dry", action="store_true", help="keep nothing")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in order: the services are taken down
    with tempfile.TemporaryDirectory(prefix="mevflow-soak-") as name:
        place = Place(Path(name))
        try:
            place.open()
            figures, faults = soak(place, 60 * options.minutes, options.rate)
        finally:
            place.close()
    for key, value in figures.items():
        print(f"{key}: {value}")
    print("; ".join(faults) or "as it should be")
    if not options.dry:
        keep("soak", {"figures": figures, "faults": faults})
    return 1 if faults else 0


def soak(place: Place, seconds: float, rate: int) -> tuple[dict[str, Any], list[str]]:
    """The figures, and what is not as it should be."""
    world = World(place, "keep", "soak")
    try:
        deploy.start(deploy.prepare(world.file, "keep", world.var, shards=1, fresh=False))
        samples, began = Samples(), time.monotonic()
        steady = seconds * (1 - _BURST_SHARE - _GARBAGE_SHARE)
        good = _phase(world, samples, began, (rate, steady, "good"))
        warm_s = (time.monotonic() - began) * _WARM_SHARE
        slope = samples.slope_mb_per_min(warm_s)
        burst = _phase(world, samples, began, (10 * rate, seconds * _BURST_SHARE, "good"))
        ended = time.monotonic()
        worst = max(samples.behind, default=0)
        world.settle()
        drained_s = time.monotonic() - ended
        flood_s = seconds * _GARBAGE_SHARE
        beside = _phase(world, samples, began, (rate, flood_s, "good"), (GARBAGE_PER_S, flood_s, "garbage"))
        ended = time.monotonic()
        world.settle()
        settled_s = time.monotonic() - ended
        left = world.stop()
        stored = _stored(world)
        restarts = deploy.status("keep", world.var)["shards"][0]["restarts"]
    finally:
        world.remove()
    sent = good[0][0] + burst[0][0] + beside[0][0]
    figures = {
        "minutes": round((ended - began) / 60, 1),
        "steady rate": f"{good[0][0] / good[0][1]:,.0f} messages/s (asked: {rate:,})",
        "rate of the burst": f"{burst[0][0] / burst[0][1]:,.0f} messages/s (asked: {10 * rate:,})",
        "most behind in the burst": f"{worst:,} messages",
        "lag zero after the burst": f"{drained_s:.1f} s",
        "garbage": f"{beside[1][0] / beside[1][1]:,.0f} messages/s beside {beside[0][0] / beside[0][1]:,.0f} good ones",
        "lag zero after the garbage": f"{settled_s:.1f} s",
        "good messages sent / stored": f"{sent:,} / {stored:,}",
        "memory of the shard, steady": f"{np.median(samples.rss_mb):.0f} MB, slope {slope:+.2f} MB/min",
        "memory of the shard, most": f"{max(samples.rss_mb):.0f} MB",
    }
    faults = []
    if stored != sent:
        faults.append(f"{sent - stored} good messages are missing")
    if slope > FLAT_MB_PER_MIN and seconds >= 600:
        faults.append(f"memory grows by {slope:.1f} MB/min")
    if restarts or left:
        faults.append(f"{restarts} restarts, {left} processes left")
    return figures, faults


def _phase(world: World, samples: Samples, began: float, *loads: tuple[int, float, str]) -> list[tuple[int, float]]:
    """Send ``(rate, seconds, what)`` at once; gives (messages, seconds) of each."""
    topic = f"{world.prefix}swaps"
    senders = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.soak.load", world.place.bootstrap, topic, str(rate), str(seconds), what],
            cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True,
        )
        for rate, seconds, what in loads
    ]  # fmt: skip
    while any(sender.poll() is None for sender in senders):
        samples.take(world.layout, began)
        time.sleep(1.0)
    found = [json.loads(sender.communicate(timeout=STALL_S)[0]) for sender in senders]
    return [(one["sent"], one["seconds"]) for one in found]


def _stored(world: World) -> int:
    client = connect(port=world.place.clickhouse_port)
    try:
        return int(client.query(f"SELECT count() FROM {world.database}.raw_swaps_rows").result_rows[0][0])
    finally:
        client.close()


if __name__ == "__main__":
    sys.exit(main())
