"""What was written with the released messages can be read with today's: a check on descriptors.

``proto/released.binpb`` is the descriptor set of the last release. ``make proto-breaking`` compares;
``python -m tests.proto.breaking --write`` takes today's messages as released. The policy is in ``proto/README.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message

from mevflow.v1 import (
    control_pb2,
    control_service_pb2,
    dead_letter_pb2,
    decision_pb2,
    market_pb2,
    realtime_pb2,
)

RELEASED = Path(__file__).parents[2] / "proto" / "released.binpb"
MODULES = (control_pb2, control_service_pb2, dead_letter_pb2, decision_pb2, market_pb2, realtime_pb2)


def today() -> FileDescriptorSet:
    """The messages of this tree."""
    found = FileDescriptorSet()
    for module in MODULES:
        module.DESCRIPTOR.CopyToProto(found.file.add())
    return found


def _messages(found: FileDescriptorSet) -> dict[str, DescriptorProto]:
    named: dict[str, DescriptorProto] = {}

    def walk(prefix: str, message: DescriptorProto) -> None:
        named[f"{prefix}.{message.name}"] = message
        for inner in message.nested_type:
            walk(f"{prefix}.{message.name}", inner)

    for file in found.file:
        for message in file.message_type:
            walk(file.package, message)
    return named


def _enums(found: FileDescriptorSet) -> dict[str, EnumDescriptorProto]:
    named = {f"{file.package}.{enum.name}": enum for file in found.file for enum in file.enum_type}
    for name, message in _messages(found).items():
        named |= {f"{name}.{enum.name}": enum for enum in message.enum_type}
    return named


def _kind(field: Message) -> tuple[object, ...]:
    return tuple(getattr(field, name) for name in ("name", "type", "label", "type_name"))


def faults(before: FileDescriptorSet, after: FileDescriptorSet) -> Iterator[str]:
    """What stored bytes or running clients would trip over, one line each."""
    old_messages, messages = _messages(before), _messages(after)
    for name, old in old_messages.items():
        if name not in messages:
            yield f"{name} is gone"
            continue
        fields = {field.number: field for field in messages[name].field}
        kept = [range(gap.start, gap.end) for gap in messages[name].reserved_range]
        names = set(messages[name].reserved_name)
        for field in old.field:
            now = fields.get(field.number)
            if now is None:
                if not any(field.number in gap for gap in kept) or field.name not in names:
                    yield f"{name}.{field.name} ({field.number}) is gone: reserve its number and its name"
            elif _kind(now) != _kind(field):
                yield f"{name}: number {field.number} was {field.name}, is {now.name}, or has another type or label"
        for gap in old.reserved_range:
            taken = [number for number in fields if gap.start <= number < gap.end]
            if taken:
                yield f"{name} uses the reserved number {taken[0]} again"
    enums = _enums(after)
    for name, old_enum in _enums(before).items():
        values = {value.number: value.name for value in enums[name].value} if name in enums else {}
        for value in old_enum.value:
            if values.get(value.number) != value.name:
                yield f"{name}.{value.name} ({value.number}) is gone or has another name"
    services = {f"{f.package}.{s.name}": s for f in after.file for s in f.service}
    for file in before.file:
        for service in file.service:
            name = f"{file.package}.{service.name}"
            methods = {m.name: m for m in services[name].method} if name in services else {}
            for method in service.method:
                if method.name not in methods or methods[method.name] != method:
                    yield f"{name}.{method.name} is gone or speaks other messages"


def main() -> int:
    """Compare, or take today's as released; the exit code."""
    if "--write" in sys.argv:
        RELEASED.write_bytes(today().SerializeToString(deterministic=True))
        return 0
    found = list(faults(FileDescriptorSet.FromString(RELEASED.read_bytes()), today()))
    for fault in found:
        print(fault, file=sys.stderr)
    if not found:
        print("the messages still read what was written before")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
