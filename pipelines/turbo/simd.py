"""The weighted sum of neighbouring RGB pixels as vector code, for `pipelines.turbo.kernel`.

numba has no vectors of its own, so the few instructions are written in LLVM's terms, which its
compiler turns into those of whatever CPU there is.

Four pixels are taken at a time. Their channels are put in pairs of neighbouring pixels, since CPUs
multiply pairs of 16-bit numbers and add the two products in one instruction::

    in memory    R0 G0 B0 R1 G1 B1 R2 G2 B2 R3 G3 B3
    in pairs     R0 R1 G0 G1 B0 B1 .. ..  R2 R3 G2 G3 B2 B3 .. ..

Weights have 22 bits, too many for that, so each is split: ``weight = high * 2 ** 11 + low``. The
two sums are put together in 32 bits, exactly.

A group is loaded as 16 bytes, 4 more than it has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

GROUP = 4
"""Pixels at a time."""
LOW_BITS = 11
_PAIRS = [0, 3, 1, 4, 2, 5, 2, 5, 6, 9, 7, 10, 8, 11, 8, 11]
"""Byte of the group for each lane; the two pairs that are no channel repeat blue."""
_PIXELS = [0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3]
"""Pixel of the group for each lane."""
_EVEN, _ODD = list(range(0, 16, 2)), list(range(1, 16, 2))
_GROUP_NBYTES = 2 * 2 * len(_PAIRS)

_I8, _I16, _I32 = (ir.IntType(bits) for bits in (8, 16, 32))


def arranged(weights: NDArray[np.int32]) -> NDArray[np.int16]:
    """Weights in the lanes in which `add_weighted` takes them.

    Parameters
    ----------
    weights
        ``(n, taps) int32`` of up to 22 bits, the number of taps a multiple of `GROUP`.

    Returns
    -------
    ndarray
        ``(n, taps // 4, 2, 16) int16``: for each group the high halves, then the low ones.
    """
    by_lane = weights.reshape(len(weights), -1, GROUP)[:, :, _PIXELS]
    halves = [by_lane >> LOW_BITS, by_lane & (1 << LOW_BITS) - 1]
    return np.ascontiguousarray(np.stack(halves, axis=2), np.int16)


@intrinsic
def add_weighted(_context, _pixels, _weights, _groups, _start, _sums):  # type: ignore[no-untyped-def]
    """``sums[:3] = start + weighted sum of pixels``, and some number into ``sums[3]``.

    Parameters
    ----------
    pixels, weights, sums
        Addresses: of the first pixel, of the weights as `arranged` has them, of 4 int32.
    groups
        How many groups of pixels.
    start
        int32, what the sums start from.
    """
    address = types.uint64
    return types.void(address, address, address, types.int32, address), _codegen


def _codegen(context: Any, b: Any, _signature: Any, args: tuple[Any, ...]) -> Any:
    pixels, weights, groups, start, sums = args
    zeros = ir.Constant(ir.VectorType(_I32, 8), [0] * 8)
    high, low = (
        cgutils.alloca_once_value(b, zeros)  # type: ignore[no-untyped-call]
        for _ in range(2)
    )
    with cgutils.for_range(b, groups) as loop:
        group = _load(b, _plus(b, pixels, loop.index, 3 * GROUP), _I8, align=1)
        pairs = b.zext(_shuffled(b, group, _PAIRS), ir.VectorType(_I16, 16))
        at = _plus(b, weights, loop.index, _GROUP_NBYTES)
        for total, half in ((high, at), (low, _plus(b, at, at.type(1), _GROUP_NBYTES // 2))):
            products = _multiplied_in_pairs(b, pairs, _load(b, half, _I16, align=2))
            b.store(b.add(b.load(total), products), total)
    shift = ir.Constant(zeros.type, [LOW_BITS] * 8)
    total = b.add(b.shl(b.load(high), shift), b.load(low))
    total = b.add(_shuffled(b, total, [0, 1, 2, 3]), _shuffled(b, total, [4, 5, 6, 7]))
    undefined = ir.Constant(total.type, ir.Undefined)
    starts = _shuffled(b, b.insert_element(undefined, start, _I32(0)), [0] * 4)
    b.store(b.add(total, starts), b.inttoptr(sums, total.type.as_pointer()), align=4)
    return context.get_dummy_value()


def _plus(b: Any, address: Any, index: Any, step: int) -> Any:
    return b.add(address, b.mul(index, index.type(step)))


def _load(b: Any, address: Any, element: Any, align: int) -> Any:
    """16 elements from an address."""
    return b.load(b.inttoptr(address, ir.VectorType(element, 16).as_pointer()), align=align)


def _shuffled(b: Any, vector: Any, lanes: list[int]) -> Any:
    mask = ir.Constant(ir.VectorType(_I32, len(lanes)), lanes)
    return b.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def _multiplied_in_pairs(b: Any, left: Any, right: Any) -> Any:
    """Products of 16-bit lanes, each added to its neighbour's: 8 lanes of 32 bits."""
    wide = ir.VectorType(_I32, 8)
    products = [
        b.mul(*(b.sext(_shuffled(b, vector, lanes), wide) for vector in (left, right)))
        for lanes in (_EVEN, _ODD)
    ]
    return b.add(*products)
