"""``mevflow dlq``: messages that could not be processed."""

from __future__ import annotations

import click

from mevflow.cli.output import emit, emit_json, json_option, note, table


@click.group()
def command() -> None:
    """List dead letters, look at one, send them again."""


@command.command("list")
@click.option("--topic", help="Only letters whose message came from this topic or file.")
@click.option("--reason", help="Only letters of this reason.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="The last so many.")
@json_option
def list_(topic: str | None, reason: str | None, limit: int, as_json: bool) -> None:
    """The last dead letters: where they lie, where they came from, why. With --json a line a letter."""
    from collections import deque

    from mevflow.flows.config import config
    from mevflow.flows.dead_letters import letters

    found = [
        letter
        for letter in letters(config().kafka.bootstrap)
        if (topic is None or letter.source.topic == topic) and (reason is None or letter.reason == reason)
    ]
    last = deque(found, maxlen=limit)
    if as_json:
        for letter in last:
            emit_json(letter.as_dict())
        return
    table(
        ["at", "came from", "stage", "reason", "detail", "bytes"],
        [[str(one.at), str(one.source), one.stage, one.reason, one.detail[:80], len(one.payload)] for one in last],
    )
    note(f"{len(last):,} of {len(found):,} dead letters")


@command.command()
@click.argument("coord")
@json_option
def show(coord: str, as_json: bool) -> None:
    """One letter with its bytes, by its own coordinates (dlq[2]@17) or those that it came from."""
    from mevflow.flows.config import config
    from mevflow.flows.dead_letters import Place, find

    emit(find(config().kafka.bootstrap, Place.parse(coord)).as_dict(payload=True), as_json)


@command.command()
@click.argument("coords", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All letters that the other options leave.")
@click.option("--topic", help="Only letters whose message came from this topic.")
@click.option("--reason", help="Only letters of this reason.")
@json_option
def replay(coords: tuple[str, ...], everything: bool, topic: str | None, reason: str | None, as_json: bool) -> None:
    """Send the raw bytes of COORDS back to their topic and partition. The letters stay."""
    from mevflow.flows import dead_letters
    from mevflow.flows.config import config
    from mevflow.operators.errors import UsageError

    if bool(coords) == (everything or topic is not None or reason is not None):
        raise UsageError("say which letters: coordinates, or --all, --topic, --reason")
    bootstrap = config().kafka.bootstrap
    if coords:
        chosen = [dead_letters.find(bootstrap, dead_letters.Place.parse(text)) for text in coords]
    else:
        chosen = [
            letter
            for letter in dead_letters.letters(bootstrap)
            if (topic is None or letter.source.topic == topic) and (reason is None or letter.reason == reason)
        ]
    sent, left = dead_letters.replay(bootstrap, chosen)
    if as_json:
        emit_json({"sent": [str(one.source) for one in sent], "left_out": [str(one.source) for one in left]})
        return
    note(f"{len(sent):,} messages sent again")
    if left:
        note(f"{len(left):,} left out: they came from a file or a topic that is gone")
