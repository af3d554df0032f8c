"""The kernel in LLVM's terms: the two passes of Pillow's resize, for the crop's window alone.

Its compiler turns the vectors into those of whatever CPU there is. Only a process that compiles
the kernel imports this.

The function takes four addresses: of a photo, of a plan, of scratch and of the image that is made.
A plan is an array of int64, in the order of `PLAN`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from pipelines.taps import FRACTION_BITS
from pipelines.turbo.lanes import BLOCK, COLUMNS, GROUP, LOW_BITS
from pipelines.turbo.planning import NAME, PLAN

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_LANES = 16
_GROUP_NBYTES = 3 * GROUP
_PAIRS = [[0, 3, 1, 4, 2, 5, 2, 5], [6, 9, 7, 10, 8, 11, 8, 11]]
"""For each half of a group the byte of each lane; the last pair is no channel and repeats blue."""
_EVEN, _ODD = list(range(0, _LANES, 2)), list(range(1, _LANES, 2))
_WEIGHTS_NBYTES = _LANES * 2
"""Of one half of a group, high or low bits, both columns."""


def kernel_ir() -> str:
    """The kernel's module as text."""
    module = ir.Module(NAME)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_I64] * 4), NAME)
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block())
    photo, plan, rows, made = function.args
    fields = {name: _load(b, _plus(b, plan, i, 8), _I64) for i, name in enumerate(PLAN)}
    _shrink_rows(b, photo, rows, fields)
    _shrink_columns(b, rows, made, fields)
    b.ret_void()
    return str(module)


def _shrink_rows(b: Any, photo: Any, rows: Any, plan: dict[str, Any]) -> None:
    """First pass: each row of the photo that is needed, scaled, the crop's columns only."""
    with _loop(b, plan["count"]) as (row, _):
        line = b.add(photo, b.mul(b.add(plan["begin"], row), plan["photo_stride"]))
        made = b.add(rows, b.mul(row, plan["stride"]))
        with _loop(b, plan["pairs"]) as (pair, _):
            at = _plus(b, plan["columns"], pair, 8 * COLUMNS)
            pixels = [b.add(line, _load(b, _plus(b, at, i, 8), _I64)) for i in range(COLUMNS)]
            weights = b.add(
                plan["column_weights"],
                b.mul(pair, b.mul(plan["groups"], _I64(4 * _WEIGHTS_NBYTES))),
            )
            total = _weighted(b, pixels, weights, plan["groups"])
            bytes_ = b.trunc(b.lshr(total, _splat(total.type, FRACTION_BITS)), _vector(_I8, 8))
            at = _plus(b, made, pair, 3 * COLUMNS)
            words = b.bitcast(bytes_, _vector(_I32, COLUMNS))
            for i in range(COLUMNS):  # four bytes; the next column overwrites the fourth
                _store(b, b.extract_element(words, _I32(i)), _plus(b, at, i, 3))


def _weighted(b: Any, pixels: list[Any], weights: Any, groups: Any) -> Any:
    """Rounded sums of two columns of a row, ``(2, 4) int32``; the fourth of each is no channel."""
    zero = _splat(_vector(_I32, 4 * COLUMNS), 0)
    with _loop(b, groups, [zero, zero]) as (group, sums):
        moved = [_plus(b, pixel, group, _GROUP_NBYTES) for pixel in pixels]
        added = _added_group(b, moved, _plus(b, weights, group, 4 * _WEIGHTS_NBYTES))
        sums[:] = [b.add(*both) for both in zip(sums, added, strict=True)]
    high, low = sums
    total = b.add(b.shl(high, _splat(high.type, LOW_BITS)), low)
    return b.add(total, _splat(high.type, 1 << (FRACTION_BITS - 1)))


def _added_group(b: Any, pixels: list[Any], weights: Any) -> list[Any]:
    """Sums of a group's pixels by the high bits of their weights and by the low ones."""
    first, second = (_load(b, pixel, _vector(_I8, 16)) for pixel in pixels)
    groups = _shuffled(b, first, second, range(32))
    zero = _splat(groups.type, 0)
    halves = []
    for pairs in _PAIRS:
        lanes = [lane + 16 * column for column in range(COLUMNS) for lane in pairs]
        wide = _shuffled(b, groups, zero, [i for lane in lanes for i in (lane, 32)])
        halves.append(b.bitcast(wide, _vector(_I16, _LANES)))
    sums = []
    for part in range(2):
        products = []
        for half in range(2):
            at = _plus(b, weights, 2 * part + half, _WEIGHTS_NBYTES)
            by = _load(b, at, _vector(_I16, _LANES), align=2)
            products.append(_multiplied_in_pairs(b, halves[half], by))
        sums.append(b.add(*products))
    return sums


def _multiplied_in_pairs(b: Any, left: Any, right: Any) -> Any:
    """Products of 16-bit lanes, each added to its neighbour's: 8 lanes of 32 bits."""
    wide = _vector(_I32, _LANES // 2)
    products = [
        b.mul(*(b.sext(_shuffled(b, vector, vector, lanes), wide) for vector in (left, right)))
        for lanes in (_EVEN, _ODD)
    ]
    return b.add(*products)


def _shrink_columns(b: Any, rows: Any, made: Any, plan: dict[str, Any]) -> None:
    """Second pass: each row of the crop is a weighted sum of whole rows of the first pass.

    The last block of a row overlaps the one before it, and so ends where the row does.
    """
    last = b.sub(plan["size"], _I64(BLOCK))
    with _loop(b, plan["crop"]) as (row, _):
        lines = b.add(rows, _load(b, _plus(b, plan["lines"], row, 8), _I64))
        weights = b.add(plan["line_weights"], b.mul(row, b.mul(plan["taps"], _I64(4))))
        image = b.add(made, b.mul(row, plan["size"]))
        with _loop(b, plan["blocks"]) as (block, _):
            at = b.mul(block, _I64(BLOCK))
            at = b.select(b.icmp_unsigned("<", at, last), at, last)
            sums = _summed_up(b, b.add(lines, at), weights, plan)
            for i, total in enumerate(sums):
                narrow = b.trunc(b.lshr(total, _splat(total.type, FRACTION_BITS)), _vector(_I8, 8))
                _store(b, narrow, _plus(b, b.add(image, at), i, 8))


def _summed_up(b: Any, line: Any, weights: Any, plan: dict[str, Any]) -> list[Any]:
    """Rounded sums of a block, eight by eight."""
    wide = _vector(_I32, 8)
    sums = [_splat(wide, 1 << (FRACTION_BITS - 1))] * (BLOCK // 8)
    with _loop(b, plan["taps"], sums) as (tap, totals):
        at = b.add(line, b.mul(tap, plan["stride"]))
        weight = _everywhere(b, _load(b, _plus(b, weights, tap, 4), _I32), 8)
        for i, total in enumerate(totals):
            values = b.zext(_load(b, _plus(b, at, i, 8), _vector(_I8, 8)), wide)
            totals[i] = b.add(total, b.mul(values, weight))
    return totals


@contextmanager
def _loop(b: Any, count: Any, values: Sequence[Any] = ()) -> Iterator[tuple[Any, list[Any]]]:
    """Loop of at least one turn.

    Its index, and a list of values that each turn takes from the one before: whoever writes the
    body puts new ones in their place, and finds the last turn's there afterwards.
    """
    before, body, after = b.block, b.append_basic_block(), b.append_basic_block()
    b.branch(body)
    b.position_at_end(body)
    index, *old = (b.phi(value.type) for value in (_I64(0), *values))
    new = list(old)
    yield index, new
    following = b.add(index, _I64(1))
    turns = zip((index, *old), (_I64(0), *values), (following, *new), strict=True)
    for phi, first, again in turns:
        phi.add_incoming(first, before)
        phi.add_incoming(again, b.block)
    b.cbranch(b.icmp_unsigned("<", following, count), body, after)
    b.position_at_end(after)


def _vector(element: Any, lanes: int) -> Any:
    return ir.VectorType(element, lanes)


def _splat(vector: Any, value: int) -> Any:
    return ir.Constant(vector, [value] * vector.count)


def _everywhere(b: Any, value: Any, lanes: int) -> Any:
    undefined = ir.Constant(_vector(value.type, lanes), ir.Undefined)
    single = b.insert_element(undefined, value, _I32(0))
    return _shuffled(b, single, undefined, [0] * lanes)


def _plus(b: Any, address: Any, index: Any, step: int) -> Any:
    if isinstance(index, int):
        return b.add(address, _I64(index * step))
    return b.add(address, b.mul(index, _I64(step)))


def _load(b: Any, address: Any, what: Any, align: int = 1) -> Any:
    return b.load(b.inttoptr(address, what.as_pointer()), align=align, typ=what)


def _store(b: Any, value: Any, address: Any) -> None:
    b.store(value, b.inttoptr(address, value.type.as_pointer()), align=1)


def _shuffled(b: Any, first: Any, second: Any, lanes: Any) -> Any:
    chosen = list(lanes)
    return b.shuffle_vector(first, second, ir.Constant(_vector(_I32, len(chosen)), chosen))
