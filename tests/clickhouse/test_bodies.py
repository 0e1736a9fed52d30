"""Request bodies as they arrive."""

import gzip
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


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4", "zstd"])
def test_a_bomb_gives_small_pieces_until_the_bound(encoding):
    """64 KB or less that would become more than the bound: pieces of bounded size, then an error."""
    packed = _PACK[encoding](bytes(16 << 20)) * 8
    most = bodies.expansion_limit(len(packed), 8 << 30)
    sizes = []
    pieces = bodies.bounded(bodies.decompressed(pieces_of(packed, 65536), encoding), min(most, 100 << 20))
    with pytest.raises(ServerError) as caught:
        sizes.extend(len(piece) for piece in pieces)
    assert caught.value.status == 413
    assert max(sizes) <= bodies.PIECE_BYTES
    assert sum(sizes) <= most


def test_a_body_may_become_many_times_its_size_but_not_any():
    assert bodies.expansion_limit(0, 1 << 40) == bodies.FREE_BYTES
    assert bodies.expansion_limit(64 << 10, 1 << 40) < 100 << 20
    assert bodies.expansion_limit(1 << 30, 8 << 30) == 8 << 30


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4", "zstd"])
def test_a_body_of_empty_frames_is_refused_after_some(encoding, monkeypatch):
    """A megabyte of them kept a thread for half a minute: what followed a frame was handed on whole."""
    kind = bodies._Zlib if encoding in ("gzip", "deflate") else bodies._Frame
    fed, feed = [], kind.feed

    def counted(decoder, data, most):
        fed.append(len(data))
        return feed(decoder, data, most)

    monkeypatch.setattr(kind, "feed", counted)
    one = _PACK[encoding](b"")
    with pytest.raises(ServerError, match="frames"):
        list(bodies.decompressed(iter([one * ((1 << 20) // len(one))]), encoding))
    assert len(fed) < bodies.FREE_FRAMES + (1 << 20) // bodies.FRAME_BYTES + 300
    assert max(fed) <= 8 << 10


def test_frames_of_some_size_may_be_many():
    one = lz4.frame.compress(bytes(range(256)) * 64)
    assert sum(map(len, bodies.decompressed(iter([one * 12_000]), "lz4"))) == 12_000 * (16 << 10)


def test_a_zstd_frame_that_refers_far_back_is_refused():
    """Its decoder would hold 128 MB for a body of a few bytes (RFC 9659)."""
    data = bytes(12 << 20)
    for log, good in ((23, True), (24, False)):
        packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
        packed = packer.compress(data) + packer.flush()
        if good:
            assert sum(map(len, bodies.decompressed(iter([packed]), "zstd"))) == len(data)
        else:
            with pytest.raises(ServerError, match="memory"):
                list(bodies.decompressed(iter([packed]), "zstd"))
