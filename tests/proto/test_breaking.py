"""The check on descriptors lets additions pass and names every break."""

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tests.proto.breaking import RELEASED, faults, today


def message(found, name):
    return next(m for file in found.file for m in file.message_type if m.name == name)


def test_todays_messages_read_what_was_released():
    assert list(faults(FileDescriptorSet.FromString(RELEASED.read_bytes()), today())) == []


def test_an_addition_passes():
    after = today()
    message(after, "Swap").field.add(name="new", number=999, type=4, label=1)
    assert list(faults(today(), after)) == []


def test_breaks_are_named():
    after = today()
    swap = message(after, "Swap")
    gone = swap.field[0]
    first, number = gone.name, gone.number
    swap.field[1].name = "renamed"
    swap.field[2].type = 9 if swap.field[2].type != 9 else 5
    del swap.field[0]
    file = next(file for file in after.file if file.enum_type)
    del file.enum_type[0].value[-1]
    service = next(file for file in after.file if file.service).service[0]
    del service.method[0]
    said = "\n".join(faults(today(), after))
    assert f"mevflow.v1.Swap.{first} ({number}) is gone: reserve" in said
    assert "renamed" in said
    assert said.count("\n") == 4


def test_a_reserved_field_may_go_and_its_number_stays_taken():
    after = today()
    swap = message(after, "Swap")
    gone = swap.field[0]
    swap.reserved_range.add(start=gone.number, end=gone.number + 1)
    swap.reserved_name.append(gone.name)
    number = gone.number
    del swap.field[0]
    assert list(faults(today(), after)) == []
    again = FileDescriptorSet()
    again.CopyFrom(after)
    message(again, "Swap").field.add(name="other", number=number, type=4, label=1)
    assert any("reserved number" in fault for fault in faults(after, again))
