"""Dead letters: ``/api/dlq``. What is done to them is what ``mevflow dlq`` does."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mevflow.control.gateway.endpoints.endpoint import HttpEndpoint, Surroundings
from mevflow.control.refusal import Refused, invalid
from mevflow.flows.dead_letters import desk, reading
from mevflow.flows.dead_letters.reading import DeadLetter, Place, find_all
from mevflow.operators.errors import UsageError

MAX_COORDINATES = 1_000
#: Letters named in an answer about many.
MAX_NAMED = 1_000
_READ_S = 20.0

Text = Annotated[str, Meta(max_length=256)]


class LettersAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Filters that are empty let everything pass. ``limit``: the last so many by chain time."""

    topic: Text = ""
    reason: Text = ""
    stage: Text = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class LetterAsked(msgspec.Struct, forbid_unknown_fields=True):
    """``at``: the letter's coordinates, or those its message came from, as ``topic[partition]@offset``."""

    at: Text


class LettersChosen(msgspec.Struct, forbid_unknown_fields=True):
    """Which letters: ``at`` (coordinates), or filters; ``everything`` where no filter is meant.

    ``again``: also messages that were sent before. ``sent`` (of purge): only letters whose message was sent again.
    """

    at: Annotated[list[Text], Meta(max_length=MAX_COORDINATES)] = []
    topic: Text = ""
    reason: Text = ""
    stage: Text = ""
    everything: bool = False
    dry_run: bool = False
    again: bool = False
    sent: bool = False


def letters(around: Surroundings, asked: LettersAsked) -> dict[str, Any]:
    """The last letters, and how many there are by reason and stage."""
    chosen = _filter(asked)
    last: deque[DeadLetter] = deque(maxlen=asked.limit)
    counts: Counter[tuple[str, str, str]] = Counter()
    deadline = time.monotonic() + _READ_S
    cut = False
    for letter in reading.letters(around.bootstrap, reading.TOPIC):
        if chosen(letter):
            last.append(letter)
            counts[letter.source.topic, letter.stage, letter.reason] += 1
        if time.monotonic() > deadline:
            cut = True
            break
    sums = [
        {"topic": topic, "stage": stage, "reason": reason, "letters": count}
        for (topic, stage, reason), count in counts.most_common(100)
    ]
    rows = [letter.as_dict() for letter in reversed(last)]
    return {"rows": rows, "letters": counts.total(), "sums": sums, "truncated": cut}


def letter(around: Surroundings, asked: LetterAsked) -> dict[str, Any]:
    """One letter with all its bytes, from the log where the letter was cut off."""
    (found,) = _find(around, [asked.at])
    return desk.completed(around.bootstrap, found).as_dict(payload=True)


def replay(around: Surroundings, asked: LettersChosen) -> dict[str, Any]:
    """Send messages back to their topic and partition, each once; with ``dry_run`` only say which."""
    chosen = _choice(around, asked)
    if asked.dry_run:
        found = desk.purge(around.bootstrap, chosen, dlq=reading.TOPIC, dry_run=True)
        todo = [each for each in found.done if asked.again or not each.sent]
        already = [each for each in found.done if each.sent and not asked.again]
        return {"dry_run": True, "sent": _named(todo), "already_sent": _named(already), "left_out": []}
    found = desk.replay(around.bootstrap, chosen, dlq=reading.TOPIC, again=asked.again)
    return {
        "dry_run": False,
        "sent": _named(found.done),
        "already_sent": _named(found.already),
        "left_out": [{"source": str(each.source), "why": why} for each, why in found.left_out[:MAX_NAMED]],
    }


def purge(around: Surroundings, asked: LettersChosen) -> dict[str, Any]:
    """Take letters off the list; with ``dry_run`` only say which."""
    chosen = _choice(around, asked)
    found = desk.purge(
        around.bootstrap,
        lambda each: chosen(each) and (each.sent or not asked.sent),
        dlq=reading.TOPIC,
        dry_run=asked.dry_run,
    )
    return {"dry_run": asked.dry_run, "letters": len(found.done), "purged": _named(found.done)}


def _named(found: list[DeadLetter]) -> list[str]:
    return list(dict.fromkeys(str(each.source) for each in found))[:MAX_NAMED]


def _filter(asked: LettersAsked | LettersChosen) -> Callable[[DeadLetter], bool]:
    return lambda each: (
        asked.topic in ("", each.source.topic) and asked.reason in ("", each.reason) and asked.stage in ("", each.stage)
    )


def _choice(around: Surroundings, asked: LettersChosen) -> Callable[[DeadLetter], bool]:
    """Raises Refused when it is not said which letters are meant, or there is none at one of the coordinates."""
    filters = bool(asked.topic or asked.reason or asked.stage or asked.everything or asked.sent)
    if bool(asked.at) == filters:
        raise invalid("at", "say which letters: coordinates, or topic, reason, stage, sent, everything")
    if not asked.at:
        return _filter(asked)
    keys = {each.key for each in _find(around, asked.at)}
    return lambda each: each.key in keys


def _find(around: Surroundings, at: list[str]) -> list[DeadLetter]:
    places = [Place.parse(each) for each in at]
    try:
        return find_all(around.bootstrap, places, reading.TOPIC)
    except UsageError as error:
        raise Refused("NOT_FOUND", "NO_SUCH_LETTER", str(error.message)) from error


ENDPOINTS = (
    HttpEndpoint(
        "GET", "/api/dlq", "DeadLetters", "The last dead letters, and how many by reason", LettersAsked, letters
    ),
    HttpEndpoint("GET", "/api/dlq/{at}", "DeadLetter", "One dead letter with all its bytes", LetterAsked, letter),
    HttpEndpoint("POST", "/api/dlq/replay", "DlqReplay", "Send messages of letters again", LettersChosen, replay),
    HttpEndpoint("POST", "/api/dlq/purge", "DlqPurge", "Take letters off the list", LettersChosen, purge),
)
