"""``mevflow completion bash|zsh|fish``."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a script that completes commands and options.

    \b
    bash: eval "$(mevflow completion bash)"            in ~/.bashrc
    zsh:  eval "$(mevflow completion zsh)"             in ~/.zshrc
    fish: mevflow completion fish > ~/.config/fish/completions/mevflow.fish
    """
    from click.shell_completion import get_completion_class

    from mevflow.cli import cli

    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(cli, {}, "mevflow", "_MEVFLOW_COMPLETE").source())
