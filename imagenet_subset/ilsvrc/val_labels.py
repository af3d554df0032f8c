"""``LOC_val_solution.csv``, Kaggle's list of the classes of the val photos."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterable

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.numbering import val_id
from imagenet_subset.system.text import printable

_HEADER = b"ImageId,PredictionString"
_LINE = re.compile(rb"(ILSVRC2012_val_[0-9]{8}),(n[0-9]{8})(?: .*)?")


def read_val_labels(name: str, lines: Iterable[bytes]) -> dict[str, str]:
    r"""WNID of each val photo that the list has, by the photo's name without suffix.

    Parameters
    ----------
    name
        Of the list, for people.

    Raises
    ------
    SourceError
        A line is wrong; names ``file:line``.
    OSError
        The lines can't be read.

    Examples
    --------
    >>> line = b"ILSVRC2012_val_00048981,n03995372 85 1 499 272\r\n"
    >>> read_val_labels("a.csv", [b"ImageId,PredictionString\r\n", line])
    {'ILSVRC2012_val_00048981': 'n03995372'}
    """
    labels: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.rstrip()
        if number == 1 and text.removeprefix(codecs.BOM_UTF8) == _HEADER:
            continue
        match = _LINE.fullmatch(text)
        known = match is not None and val_id(match[1].decode()) is not None
        if text and not known:
            found = text[:60].decode(errors="backslashreplace")
            expected = "ILSVRC2012_val_00048981,n03995372 85 1 499 272"
            raise SourceError(
                f"{printable(name)}:{number}: expected a line like {expected!r}, found {found!r}; "
                "is this LOC_val_solution.csv of ILSVRC?"
            )
        if match:
            labels[match[1].decode()] = sys.intern(match[2].decode())
    return labels
