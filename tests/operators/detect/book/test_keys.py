"""Addresses by number lie one after another, however many come and however long they are."""

from mevflow.operators.detect.book.keys import Keys


def test_keys_of_any_length_are_read_back_while_they_grow():
    told, keys = [], Keys()
    for number in range(300):
        told.append(bytes([number % 256]) * (number % 70))
        keys.append(told[-1])
        if number % 37 == 0:
            assert keys.array.to_pylist() == told
    assert keys.array.to_pylist() == told
    assert keys.array.take([299, 0]).to_pylist() == [told[299], told[0]]
