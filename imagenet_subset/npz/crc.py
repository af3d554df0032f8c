"""CRC-32, and that of joined pieces from the CRCs of the pieces alone.

A CRC-32 (as in ZIP and zlib) is a polynomial over GF(2), reduced modulo a fixed one, so that of
``A + B`` follows from those of ``A`` and ``B`` and the length of ``B``::

    crc(A + B) = crc(A) * x ** (8 * len(B))  +  crc(B)      modulo POLYNOMIAL

zlib's ``crc32_combine`` uses the same identity. Polynomials are held bit-reversed, as
the CRC itself is: the highest bit is the coefficient of ``x ** 0``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.system.checksum import crc32

__all__ = ["combine", "combine_rows", "crc32"]

POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31
_X = 1 << 30


def combine(first: int, second: int, second_nbytes: int) -> int:
    """CRC-32 of two joined byte strings.

    Parameters
    ----------
    first, second
        CRC-32 of each.
    second_nbytes
        Length of the second, in bytes.

    Examples
    --------
    >>> combine(crc32(b"acorn, "), crc32(b"airliner"), 8) == crc32(b"acorn, airliner")
    True
    """
    return _multiply(_power_of_x(8 * second_nbytes), first) ^ second


def combine_rows(crcs: NDArray[np.uint32], row_nbytes: int) -> int:
    """CRC-32 of ``N`` joined rows of equal length, in ``log2(N)`` vectorised steps.

    Parameters
    ----------
    crcs
        ``(N,) uint32``, CRC-32 of each row; ``N`` may be 0.
    row_nbytes
        Length of a row, in bytes.
    """
    level = crcs.astype(np.uint32)
    shift = _power_of_x(8 * row_nbytes)
    while len(level) > 1:
        if len(level) % 2:
            # An empty string in front changes nothing and has the CRC 0. From here on only the
            # first piece is shorter than the rest, and a first piece's length is never needed.
            level = np.concatenate([np.zeros(1, np.uint32), level])
        level = _multiply_each(shift, level[0::2]) ^ level[1::2]
        shift = _multiply(shift, shift)
    return int(level[0]) if len(level) else 0


def _multiply(a: int, b: int) -> int:
    """Product of two polynomials, modulo `POLYNOMIAL`."""
    product, bit = 0, _ONE
    while bit:
        if a & bit:
            product ^= b
        b = b >> 1 ^ POLYNOMIAL if b & 1 else b >> 1
        bit >>= 1
    return product


def _multiply_each(a: int, b: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Products of one polynomial with many."""
    product = np.zeros_like(b)
    bit = _ONE
    while bit:
        if a & bit:
            product ^= b
        b = (b >> np.uint32(1)) ^ (np.uint32(POLYNOMIAL) * (b & np.uint32(1)))
        bit >>= 1
    return product


def _power_of_x(exponent: int) -> int:
    """``x ** exponent`` modulo `POLYNOMIAL`, by squaring."""
    power, square = _ONE, _X
    while exponent:
        if exponent & 1:
            power = _multiply(power, square)
        square = _multiply(square, square)
        exponent >>= 1
    return power
