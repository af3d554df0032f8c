"""How many rows a shard has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imagenet_subset.building.shard_sizes import rows_of_next


@given(st.integers(1, 5000), st.integers(1, 64), st.integers(1, 32), st.integers(0, 64))
def test_shards_of_this_machine_are_small_at_both_ends(
    count: int, workers: int, least: int, more: int
) -> None:
    most = least + more
    sizes: list[int] = []
    while (given := sum(sizes)) < count:
        sizes.append(rows_of_next(given, count, workers, least, most))
    assert all(least <= size <= most for size in sizes)
    assert sizes[0] == least or count > 2 * workers * least
    # What is left for the last round is about as much as each worker has at least.
    left = count - sum(sizes[:-1])
    assert left <= max(least, most // 2)
