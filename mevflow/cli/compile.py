"""``mevflow compile``: compile the kernels, so that no topology waits for it."""

from __future__ import annotations

import click

from mevflow.cli.output import emit, json_option, note


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Compile the detection and decision kernels ahead of the first run (10 to 40 s, once for an installation)."""
    note("compiling the kernels (once for this installation)")
    from mevflow.flows.demo.compile import compile_kernels

    emit({"seconds": round(compile_kernels(), 1)}, as_json)
