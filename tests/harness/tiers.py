"""Which tests run when: the quick ones always, the thorough ones with ``--all``, see conftest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

thorough = pytest.mark.thorough
"""``@thorough("why it isn't needed at each change")``"""


def first_quick(values: Iterable[Any], reason: str, *, quick: int = 1) -> list[Any]:
    """Values for ``parametrize``: the first stays in the quick tier, the others are thorough.

    A value for several names is a tuple.
    """
    words = [value if isinstance(value, tuple) else (value,) for value in values]
    return [
        pytest.param(*value, marks=[] if n < quick else thorough(reason))
        for n, value in enumerate(words)
    ]
