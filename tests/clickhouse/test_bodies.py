"""Request bodies as they arrive."""

import gzip
import io
import zlib

import lz4.frame
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from mevflow.clickhouse.server import bodies
from mevflow.clickhouse.server.errors import ServerError

_PACK = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
}


def pieces_of(data, size):
    return iter([data[at : at + size] for at in range(0, len(data), size)])


@given(st.binary(max_size=500), st.sampled_from(sorted(_PACK)), st.integers(1, 64), st.integers(1, 3))
def test_any_cut_of_a_compressed_body_gives_the_same_bytes(data, encoding, size, frames):
    frames = frames if encoding else 1
    packed = _PACK[encoding](data) * frames
    assert b"".join(bodies.decompressed(pieces_of(packed, size), encoding)) == data * frames


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8))
def test_a_chunked_body_is_read_to_its_end(chunks):
    raw = (
        b"".join(b"%x;name=value\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nTrailer: x\r\n\r\nNEXT"
    )
    stream = io.BufferedReader(io.BytesIO(raw))
    assert b"".join(bodies.chunked(stream)) == b"".join(chunks)
    assert stream.read() == b"NEXT"


@pytest.mark.parametrize("raw", [b"zz\r\n", b"5\r\nabc", b"", b"-1\r\n"])
def test_a_broken_chunked_body_is_an_error(raw):
    with pytest.raises(ServerError):
        list(bodies.chunked(io.BufferedReader(io.BytesIO(raw))))


def test_a_body_that_ends_early_is_an_error():
    with pytest.raises(ServerError, match="ended 2 bytes early"):
        list(bodies.sized(io.BufferedReader(io.BytesIO(b"abc")), 5))


def test_a_body_beyond_the_limit_is_an_error():
    with pytest.raises(ServerError) as caught:
        list(bodies.bounded(iter([b"abc", b"def"]), 5))
    assert caught.value.status == 413


@pytest.mark.parametrize("encoding", ["gzip", "lz4", "zstd"])
def test_garbage_is_an_error_of_the_client(encoding):
    with pytest.raises(ServerError, match=encoding):
        list(bodies.decompressed(iter([b"garbage garbage garbage"]), encoding))


@pytest.mark.parametrize("encoding", ["gzip", "lz4", "zstd"])
def test_a_compressed_body_that_ends_early_is_an_error(encoding):
    packed = _PACK[encoding](b"some data" * 100)
    with pytest.raises(ServerError, match="middle"):
        list(bodies.decompressed(iter([packed[:-5]]), encoding))


def test_an_unknown_encoding_is_refused():
    with pytest.raises(ServerError, match="br"):
        list(bodies.decompressed(iter([b"x"]), "br"))
