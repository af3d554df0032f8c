"""What a build is asked for, checked where it comes in."""

from __future__ import annotations

import pytest

from imagenet_subset.building.options import BuildOptions


def test_a_split_that_is_no_sequence_is_refused_with_one_that_is() -> None:
    with pytest.raises(ValueError, match=r"in a sequence such as \('train',\), not 'train'"):
        BuildOptions("imagenet30", splits="train")  # type: ignore[arg-type]
