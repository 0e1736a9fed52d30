"""Topics and what is on them: ``/api/topics``, ``/api/messages``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mevflow.control.gateway.endpoints.endpoint import HttpEndpoint, Nothing, Surroundings
from mevflow.control.refusal import invalid
from mevflow.flows.messages import schemas
from mevflow.flows.messages.anatomy import anatomy
from mevflow.flows.messages.browse import PageRequest, read_page
from mevflow.flows.messages.conditions import MAX_CONDITIONS, parse
from mevflow.flows.messages.look import MessageFilter
from mevflow.flows.messages.record import read_record
from mevflow.kafka.topics import admin_client, listing
from mevflow.operators.addresses import address
from mevflow.operators.codec import codec, message_type
from mevflow.operators.readable import readable

MAX_LIMIT = 500
#: Bytes of one record that are shown.
MAX_SHOWN = 256 << 10
_MAX_GROUPS = 200
_PLACE = re.compile(r"([0-9]{1,6}):([0-9]{1,18})\Z")
_TOPIC = r"^[A-Za-z0-9._-]{1,249}$"

Topic = Annotated[str, Meta(pattern=_TOPIC)]


class TopicAsked(msgspec.Struct, forbid_unknown_fields=True):
    """``name``: of the topic."""

    name: Topic


class ReadingAsked(msgspec.Struct, forbid_unknown_fields=True):
    """``schema``: a message's name, ``none``, or empty for the topic's own. Where it begins: ``cursor`` (``next`` of an
    answer: offsets by partition, ``0:17,1:4``), else ``from_us`` (chain time), else ``start``. ``partition``: a number,
    or several with commas between. ``where``: conditions, any number; ``pool`` and ``text`` must hold too.
    """

    topic: Topic
    schema: str = ""
    start: Annotated[str, Meta(pattern="^(newest|earliest)$")] = "newest"
    from_us: Annotated[int, Meta(ge=0, lt=1 << 60)] | None = None
    cursor: Annotated[str, Meta(max_length=4_000)] = ""
    partition: Annotated[str, Meta(pattern="^[0-9,]{0,200}$")] = ""
    where: list[str] = []
    pool: Annotated[str, Meta(max_length=140)] = ""
    text: Annotated[str, Meta(max_length=256)] = ""

    def reading(self) -> dict[str, Any]:
        """The fields of a :class:`TopicReading`. Raises Refused, UsageError (a condition that makes no sense)."""
        return {
            "topic": self.topic,
            "by": _filter(self),
            "places": places_of(self.cursor),
            "from_us": self.from_us,
            "start": self.start,
            "partitions": frozenset(int(each) for each in self.partition.split(",") if each) or None,
        }


class MessagesAsked(ReadingAsked, forbid_unknown_fields=True):
    """A page of at most ``limit`` records."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = 100


class RecordAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A record's coordinates. ``schema`` as for a list."""

    topic: Topic
    partition: Annotated[int, Meta(ge=0, lt=1 << 20)]
    offset: Annotated[int, Meta(ge=0, lt=1 << 60)]
    schema: str = ""


def topics(around: Surroundings, asked: Nothing) -> dict[str, Any]:
    """Every topic: its message, partitions, first and next offsets."""
    rows = [
        {
            "name": info.name,
            "schema": schemas.OF_TOPIC.get(info.name, ""),
            "partitions": len(info.ends),
            "messages": info.messages,
            "ends": [{"partition": p, "first": first, "next": stop} for p, (first, stop) in sorted(info.ends.items())],
        }
        for info in listing(around.bootstrap)
    ]
    return {"rows": rows}


def lag(around: Surroundings, asked: TopicAsked) -> dict[str, Any]:
    """What consumer groups have committed of a topic, and how many records each is behind."""
    ends = listing(around.bootstrap, [asked.name])[0].ends
    rows = []
    with admin_client(around.bootstrap) as client:
        groups = sorted(each["group_id"] for each in client.list_groups())
        for group, places in client.list_group_offsets(dict.fromkeys(groups[:_MAX_GROUPS])).items():
            for place, committed in sorted(places.items()):
                if place.topic == asked.name and committed.offset >= 0 and place.partition in ends:
                    stop = ends[place.partition][1]
                    rows.append(
                        {
                            "group": group,
                            "partition": place.partition,
                            "committed": committed.offset,
                            "next": stop,
                            "lag": max(0, stop - committed.offset),
                        }
                    )
    return {"rows": rows, "truncated": len(groups) > _MAX_GROUPS}


def known(around: Surroundings, asked: Nothing) -> dict[str, Any]:
    """Messages that a record can be read as, their fields, and which topic bears which."""
    rows = [{"name": name, "fields": list(codec(name).schema.names)} for name in schemas.names()]
    return {"rows": rows, "topics": schemas.OF_TOPIC}


def messages(around: Surroundings, asked: MessagesAsked) -> dict[str, Any]:
    """A page of records with the counts of what was read, shown and passed; ``next`` goes on, also as a live tail."""
    request = PageRequest(**asked.reading(), limit=asked.limit)
    page = read_page(around.bootstrap, request)
    return {
        "topic": asked.topic,
        "schema": request.by.schema,
        "rows": page.rows,
        "read": page.read,
        "shown": page.shown,
        "undecodable": page.undecodable,
        "skipped": page.skipped,
        "behind": page.behind,
        "bytes": page.bytes,
        "took_ms": page.took_ms,
        "next": cursor_of(page.next),
    }


def message(around: Surroundings, asked: RecordAsked) -> dict[str, Any]:
    """One record: its bytes in hex, its fields, and a tree whose nodes say which bytes they are."""
    schema = _schema(asked.topic, asked.schema)
    record = read_record(around.bootstrap, asked.topic, asked.partition, asked.offset)
    value = record.value or b""
    fields = why = None
    if schema:
        try:
            fields = readable(message_type(schema).FromString(value))
        except ValueError as error:
            why = f"not a {schema}: {error}"
    solana = (fields or {}).get("chain", "CHAIN_SOLANA") in ("CHAIN_SOLANA", "CHAIN_UNSPECIFIED")
    nodes, fault = anatomy(value[:MAX_SHOWN], message_type(schema).DESCRIPTOR if schema else None, solana)
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_us": record.timestamp_us,
        "schema": schema,
        "key": None if record.key is None else record.key.hex(),
        "headers": [{"name": name, "value": header.hex()} for name, header in record.headers],
        "bytes": len(value),
        "tombstone": record.value is None,
        "hex": value[:MAX_SHOWN].hex(),
        "fields": fields,
        "error": why or fault,
        "tree": nodes,
    }


def _schema(topic: str, given: str) -> str:
    """Raises Refused for a message that there is not."""
    if given == "none":
        return ""
    if given and given not in schemas.names():
        raise invalid("schema", f"no message {given[:100]!r}; /api/messages lists them")
    return given or schemas.OF_TOPIC.get(topic, "")


def _filter(asked: ReadingAsked) -> MessageFilter:
    schema = _schema(asked.topic, asked.schema)
    if not schema and (asked.where or asked.pool or asked.text):
        raise invalid("schema", "only decoded messages can be filtered")
    if len(asked.where) > MAX_CONDITIONS:
        raise invalid("where", f"at most {MAX_CONDITIONS} conditions")
    conditions = tuple(parse(each, codec(schema)) for each in asked.where)
    return MessageFilter(schema, conditions, _pool(asked.pool), asked.text)


def cursor_of(places: Mapping[int, int]) -> str:
    """The next offset of each partition as text."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(places.items()))


def places_of(cursor: str) -> dict[int, int] | None:
    """The reverse of ``cursor_of``. Raises Refused."""
    if not cursor:
        return None
    found = [_PLACE.match(each) for each in cursor.split(",")]
    if not all(found):
        raise invalid("cursor", "is the `next` of an answer")
    return {int(each[1]): int(each[2]) for each in found if each}


def _pool(text: str) -> bytes:
    try:
        return address(text) if text else b""
    except ValueError:
        raise invalid("pool", "is base58, or 0x and hex") from None


ENDPOINTS = (
    HttpEndpoint("GET", "/api/topics", "Topics", "Topics, their messages and offsets", Nothing, topics),
    HttpEndpoint("GET", "/api/topics/{name}/lag", "TopicLag", "How far consumer groups are behind", TopicAsked, lag),
    HttpEndpoint("GET", "/api/messages", "Schemas", "Messages that a record can be read as", Nothing, known),
    HttpEndpoint(
        "GET", "/api/messages/{topic}", "Messages", "Records of a topic, decoded, filtered", MessagesAsked, messages
    ),
    HttpEndpoint(
        "GET",
        "/api/messages/{topic}/{partition}/{offset}",
        "Message",
        "One record as fields, tree and bytes",
        RecordAsked,
        message,
    ),
)
