"""``mevflow audit``: whether logged propensities are those that arms were drawn with."""

from __future__ import annotations

import click

from mevflow.cli.output import emit_json, json_option, note, table


@click.command()
@click.option("--topology", default="detect-live", show_default=True)
@click.option("--run-id", default="", help="A replay's decisions instead of the live run's.")
@json_option
def command(topology: str, run_id: str, as_json: bool) -> None:
    """Hold every decision's chances against its draw, and each arm's count against its chances.

    Exit code 4 when one is wrong.
    """
    from mevflow.flows.demo.report import connect
    from mevflow.learning.audit import audit
    from mevflow.operators.errors import CheckFailedError

    client = connect()
    try:
        found = audit(client, topology, run_id)
    finally:
        client.close()
    if as_json:
        rows = {
            arm: {"chosen": n, "expected": expected, "z": None if z != z else z}
            for arm, (n, expected, z) in found.arms.items()
        }
        emit_json({"decisions": found.decisions, "passed": found.passed, "arms": rows, "faults": found.faults})
    else:
        table(
            ["arm", "chosen", "expected", "z"],
            [[arm, n, f"{expected:,.1f}", f"{z:+.2f}"] for arm, (n, expected, z) in found.arms.items()],
            title=f"{found.decisions:,} decisions",
        )
        for what, some in found.faults.items():
            note(f"{found.counts[what]:,} decisions: {what}: {', '.join(some[:3])}")
    if not found.passed:
        raise CheckFailedError("the log's propensities are not those of its draws", key=topology)
