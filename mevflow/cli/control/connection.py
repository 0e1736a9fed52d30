"""How a command reaches the service, and how it shows what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mevflow.cli.output import emit_json, json_option, table
from mevflow.operators.errors import CheckFailedError, MevflowError, UnreachableError, UsageError

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mevflow.control.client.client import Control
    from mevflow.v1.control_service_pb2 import CommandReply, Delivery

Command = TypeVar("Command", bound=Callable[..., Any])

_ADDRESS, _TOKEN_FILE, _CA_FILE = "MEVFLOW_CONTROL_ADDRESS", "MEVFLOW_CONTROL_TOKEN_FILE", "MEVFLOW_CONTROL_CA_FILE"
_ANSWER_COLUMNS = ["topology", "shard", "stage", "status", "reason", "detail", "took effect at"]


def reaching(command: Command) -> Command:
    """Add the options that say where the service is, and ``--json``."""
    for option in (
        click.option("--address", envvar=_ADDRESS, help="HOST:PORT of the service (default: as configured)."),
        click.option("--token-file", envvar=_TOKEN_FILE, type=click.Path(path_type=Path), help="Holds a bearer token."),
        click.option("--ca-file", envvar=_CA_FILE, type=click.Path(path_type=Path), help="Use TLS, and trust this CA."),
        json_option,
    ):
        command = option(command)
    return command


def connect(address: str | None, token_file: Path | None, ca_file: Path | None) -> Control:
    """A client as the options say. Raises UsageError when a file cannot be read."""
    import grpc

    from mevflow.control.client.client import Control
    from mevflow.flows.config import config

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    where = config().control
    token = _read(token_file).decode().strip() if token_file else None
    credentials = grpc.ssl_channel_credentials(_read(ca_file)) if ca_file else None
    return Control(address or f"{where.host}:{where.port}", token=token, credentials=credentials)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=str(path)) from error


def delivering(command: Command) -> Command:
    """Add the options that say how a command is sent and what is waited for."""
    for option in (
        click.option("--expected-version", type=click.IntRange(0), help="Refuse unless this version is in force."),
        click.option("--idempotency-key", default="", help="The same call again gets the same answer."),
        click.option("--ttl", "ttl_s", type=click.FloatRange(0), default=0.0, help="Seconds until shards refuse it."),
        click.option("--ack", type=click.Choice(["all", "quorum", "none"]), default="all", show_default=True),
        click.option("--wait", "wait_s", type=click.FloatRange(0), default=5.0, show_default=True, help="Seconds."),
        click.option("--reason", default="", help="For the audit log."),
    ):
        command = option(command)
    return command


def passing(command: Command) -> Command:
    """Add ``--force``: for a model that is below the gate."""
    return click.option("--force", is_flag=True, help="Also a model below the gate; the audit says so.")(command)


def how(options: dict[str, Any], *, rollback: bool = False, force: bool = False) -> Delivery:
    """The options of :func:`delivering`, taken out of ``options``."""
    from mevflow.control.client.client import delivery

    names = ("expected_version", "idempotency_key", "ttl_s", "ack", "wait_s", "reason")
    return delivery(rollback=rollback, force=force, **{name: options.pop(name) for name in names})


def payload_of(text: str) -> bytes:
    """A payload: JSON, ``@FILE``, or ``-`` for stdin."""
    if text == "-":
        return click.get_binary_stream("stdin").read()
    return _read(Path(text[1:])) if text.startswith("@") else text.encode()


def plain(message: Message) -> dict[str, Any]:
    """A reply for ``--json``: snake-case names, JSON payloads as JSON, every field present."""
    from google.protobuf.json_format import MessageToDict

    found: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    _unpack(found)
    return found


def _unpack(value: Any) -> None:
    """Bytes that hold JSON, and 64-bit integers that protobuf writes as text, in place."""
    import base64
    import json

    if isinstance(value, list):
        for each in value:
            _unpack(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in ("payload", "before", "after", "request") and isinstance(each, str):
                raw = base64.b64decode(each)
                try:
                    value[name] = json.loads(raw) if raw else None
                except ValueError:
                    value[name] = each
            elif isinstance(each, str) and name.endswith(_NUMBERS) and each.lstrip("-").isdigit():
                value[name] = int(each)
            else:
                _unpack(each)


_NUMBERS = ("version", "offset", "_us", "_ms", "_ms_ago", "messages", "lag", "rows", "pid", "done")


def show_reply(reply: CommandReply, as_json: bool) -> None:
    """What came of a command. Raises CheckFailedError when not everyone has it, UnreachableError if nobody answered."""
    from mevflow.control.client.client import outcome

    said = outcome(reply)
    if as_json:
        emit_json(plain(reply))
    else:
        what = f"{reply.kind} {reply.topology or '*'}" + (f"/{reply.target}" if reply.target else "")
        click.echo(f"{said}: {what} version {reply.version}, {reply.applied} of {reply.expected} have it")
        if reply.note:
            click.echo(reply.note)
        if reply.answers:
            table(
                _ANSWER_COLUMNS,
                [
                    [
                        a.topology,
                        a.shard,
                        a.stage or "-",
                        (a.status or "no answer") + (" (late)" if a.late else ""),
                        a.reason,
                        a.detail,
                        f"{a.topic}[{a.partition}]@{a.offset}" if a.topic else "-",
                    ]
                    for a in reply.answers
                ],
            )
    if said in ("PARTIAL", "REJECTED", "ROLLED_BACK"):
        code: type[MevflowError] = CheckFailedError
    elif said == "TIMED_OUT":
        code = UnreachableError
    else:
        return
    text = (
        f"{said.lower().replace('_', ' ')}: {reply.applied} applied, {reply.rejected} refused, {reply.missing} silent"
    )
    if reply.missing and said != "ROLLED_BACK":
        text += ". The command stands: a silent shard takes it when it reads on"
        raise code(text, hint="mevflow policy status, which shows late answers")
    raise code(text)
