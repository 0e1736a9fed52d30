"""``mevflow dlq``: messages that could not be processed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from mevflow.cli.output import csv_option, emit, emit_csv, emit_json, json_option, note, table

if TYPE_CHECKING:
    from mevflow.flows.dead_letters.reading import DeadLetter


@click.group()
def command() -> None:
    """List dead letters, look at one, send them again, purge them."""


@command.command("list")
@click.option("--topic", help="Only letters whose message came from this topic or file.")
@click.option("--reason", help="Only letters of this reason.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="The last so many.")
@json_option
@csv_option
def list_(topic: str | None, reason: str | None, limit: int, as_json: bool, as_csv: bool) -> None:
    """The last dead letters: where they lie, where they came from, why. With --json a line a letter."""
    from collections import deque

    from mevflow.flows.config import config
    from mevflow.flows.dead_letters import reading

    last: deque[DeadLetter] = deque(maxlen=limit)
    count = 0
    for letter in reading.letters(config().kafka.bootstrap, reading.TOPIC):
        if topic in (None, letter.source.topic) and reason in (None, letter.reason):
            last.append(letter)
            count += 1
    if as_json:
        for letter in last:
            emit_json(letter.as_dict())
        return
    rows = emit_csv if as_csv else table
    rows(
        ["at", "came from", "stage", "reason", "detail", "bytes", "copies", "sent"],
        [
            [
                str(one.at),
                str(one.source),
                one.stage,
                one.reason,
                one.detail[:80],
                one.bytes,
                one.copies,
                "yes" if one.sent else "no",
            ]
            for one in last
        ],
    )
    note(f"{len(last):,} of {count:,} dead letters")


@command.command()
@click.argument("coord")
@json_option
def show(coord: str, as_json: bool) -> None:
    """One letter with all its bytes, by its own coordinates (dlq[2]@17) or those that it came from."""
    from mevflow.flows.config import config
    from mevflow.flows.dead_letters.desk import completed
    from mevflow.flows.dead_letters.reading import TOPIC, Place, find

    bootstrap = config().kafka.bootstrap
    letter = completed(bootstrap, find(bootstrap, Place.parse(coord), TOPIC))
    emit(letter.as_dict(payload=True), as_json)


def _choosing(function: Callable[..., None]) -> Callable[..., None]:
    """The ways to say which letters are meant."""
    for option in (
        click.option("--reason", help="Only letters of this reason."),
        click.option("--topic", help="Only letters whose message came from this topic."),
        click.option("--all", "everything", is_flag=True, help="All letters that the other options leave."),
        click.argument("coords", nargs=-1),
    ):
        function = option(function)
    return function


@command.command()
@_choosing
@click.option("--again", is_flag=True, help="Also messages that were sent before.")
@json_option
def replay(
    coords: tuple[str, ...], everything: bool, topic: str | None, reason: str | None, again: bool, as_json: bool
) -> None:
    """Send the messages of the letters at COORDS back to their topic and partition, each once. The letters stay."""
    from mevflow.flows.config import config
    from mevflow.flows.dead_letters import desk, reading

    wanted = _wanted(coords, everything, topic, reason)
    found = desk.replay(config().kafka.bootstrap, wanted, dlq=reading.TOPIC, again=again)
    sent = list(dict.fromkeys(str(one.source) for one in found.done))
    if as_json:
        already = list(dict.fromkeys(str(one.source) for one in found.already))
        left_out = list(dict.fromkeys(str(one.source) for one, _ in found.left_out))
        emit_json({"sent": sent, "already_sent": already, "left_out": left_out})
        return
    note(f"{len(sent):,} messages sent again")
    if found.already:
        note(f"{len(found.already):,} letters left: their messages were sent before (--again sends them once more)")
    for letter, why in found.left_out:
        note(f"{letter.source} left out: {why}")


@command.command()
@_choosing
@click.option("--sent", is_flag=True, help="Only letters whose message was sent again.")
@click.option("--dry-run", is_flag=True, help="Say what would be purged, and stop.")
@json_option
def purge(
    coords: tuple[str, ...],
    everything: bool,
    topic: str | None,
    reason: str | None,
    sent: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take the letters at COORDS off the list. What was sent stays known."""
    from mevflow.flows.config import config
    from mevflow.flows.dead_letters import desk, reading

    chosen = _wanted(coords, everything or sent, topic, reason)
    found = desk.purge(
        config().kafka.bootstrap,
        lambda letter: chosen(letter) and (letter.sent or not sent),
        dlq=reading.TOPIC,
        dry_run=dry_run,
    )
    if as_json:
        emit_json({"purged": [str(one.source) for one in found.done], "dry_run": dry_run})
        return
    for one in found.done if dry_run else ():
        click.echo(f"{one.source}  {one.stage}  {one.reason}  {one.bytes} bytes")
    note(f"{len(found.done):,} letters {'would be' if dry_run else 'are'} purged")


def _wanted(
    coords: tuple[str, ...], everything: bool, topic: str | None, reason: str | None
) -> Callable[[DeadLetter], bool]:
    """Which letters are meant. Raises UsageError when that is not said, or there is none at one of ``coords``."""
    from mevflow.flows.config import config
    from mevflow.flows.dead_letters import reading
    from mevflow.operators.errors import UsageError

    if bool(coords) == (everything or topic is not None or reason is not None):
        raise UsageError("say which letters: coordinates, or --all, --topic, --reason")
    if coords:
        places = map(reading.Place.parse, coords)
        keys = {reading.find(config().kafka.bootstrap, place, reading.TOPIC).key for place in places}
        return lambda letter: letter.key in keys
    return lambda letter: topic in (None, letter.source.topic) and reason in (None, letter.reason)
