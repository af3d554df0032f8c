"""CRCs of joined pieces against zlib's CRC of the joined bytes."""

from __future__ import annotations

import zlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from imagenet_subset.npz.crc import combine, combine_rows, crc32
from tests.harness.tiers import thorough


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_the_crc_is_that_of_zlib_whatever_computes_it(data: bytes, start: int) -> None:
    assert crc32(data, start) == zlib.crc32(data, start)
    assert crc32(memoryview(data)) == crc32(np.frombuffer(data, np.uint8)) == zlib.crc32(data)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_two_pieces_combine_to_the_crc_of_both(first: bytes, second: bytes) -> None:
    combined = combine(zlib.crc32(first), zlib.crc32(second), len(second))
    assert combined == zlib.crc32(first + second)


@given(st.integers(0, 70), st.integers(1, 40), st.randoms(use_true_random=False))
def test_any_number_of_rows_combines_to_the_crc_of_all(n, nbytes, random) -> None:
    rows = [random.randbytes(nbytes) for _ in range(n)]
    crcs = np.array([zlib.crc32(row) for row in rows], np.uint32)
    assert combine_rows(crcs, nbytes) == zlib.crc32(b"".join(rows))


@thorough("CRCs of gigabytes")
def test_lengths_beyond_32_bits_combine() -> None:
    # 5 GB of zeros behind a letter, by zlib in pieces and by combination.
    piece = bytes(1 << 20)
    zeros = 5000 * len(piece)
    expected, zero_crc = zlib.crc32(b"a"), 0
    for _ in range(5000):
        expected = zlib.crc32(piece, expected)
        zero_crc = zlib.crc32(piece, zero_crc)
    assert combine(zlib.crc32(b"a"), zero_crc, zeros) == expected
