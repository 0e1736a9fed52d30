"""``mevflow bench start``: what its figures are of."""

import subprocess
import sys

from mevflow.bench import start


def test_a_figure_is_the_median_of_the_rounds_after_the_one_that_warms():
    took = [9.0, 1.0, 4.0, 3.0]
    wall, _ = start._figures("a command", took.__getitem__, 2.0, 3)
    assert (wall["value"], wall["unit"], wall["ratio"]) == (3.0, "s", 1.5)


def test_cpu_is_that_of_the_processes_that_were_waited_for():
    def work(number: int) -> float:
        subprocess.run([sys.executable, "-c", "sum(range(10**6))"], check=True)
        return 1.0

    _, cpu = start._figures("a command", work, 2.0, 1)
    assert cpu["name"] == "a command: CPU of the whole process"
    assert cpu["value"] > 0.001
