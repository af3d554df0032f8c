"""A slice of ImageNet (ILSVRC 2012) as one NPZ."""

from __future__ import annotations

__version__ = "0.1.0"
