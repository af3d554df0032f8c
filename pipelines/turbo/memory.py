"""Memory that is used again and again, with its address."""

from __future__ import annotations

import numpy as np


class Memory:
    """Some bytes, for one photo after the other.

    Parameters
    ----------
    nbytes
        How many there are at first.
    """

    __slots__ = ("address", "array", "nbytes")

    def __init__(self, nbytes: int) -> None:
        self.array = np.empty(nbytes, np.uint8)
        self.nbytes = nbytes
        self.address = self.array.ctypes.data
        """Asking the array each time would take a microsecond."""
