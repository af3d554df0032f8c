"""What a photo's file name says, in whatever form ImageNet is: all forms keep the original name.

Hugging Face appends the class: ``n01440764_10026_n01440764.JPEG``. No original name ends so.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from imagenet_subset.records import Split

PHOTO_SUFFIXES = (".jpeg", ".jpg")

_WNID = "n[0-9]{8}"
_APPENDED = re.compile(f"(.+)_({_WNID})", re.DOTALL)
_NAME = re.compile(rf"({_WNID}_[0-9]+|(ILSVRC2012_val)_[0-9]{{8}})(?:_({_WNID}))?\.(?i:jpe?g)")
_FOLDER = re.compile(_WNID)


class Name(NamedTuple):
    """What a path says about the photo at its end."""

    split: Split
    stem: str
    """As ILSVRC has it."""
    wnid: str | None
    """Class that the name, or else the folder, says that it is of. The original name of a train
    photo begins with its class; that isn't meant here."""


def original(stem: str) -> tuple[str, str | None]:
    """Name as ILSVRC has it, and the class that was appended to it.

    Parameters
    ----------
    stem
        Name without folder and suffix.

    Examples
    --------
    >>> original("n01440764_10026_n01440764"), original("ILSVRC2012_val_00000293")
    (('n01440764_10026', 'n01440764'), ('ILSVRC2012_val_00000293', None))
    """
    if stem[-10:-8] != "_n":
        return stem, None
    match = _APPENDED.fullmatch(stem)
    return (match[1], match[2]) if match else (stem, None)


def parse(path: str) -> Name | None:
    """What a path in an archive says; None if it isn't that of a train or a val photo of ILSVRC.

    Examples
    --------
    >>> parse("ILSVRC/Data/CLS-LOC/train/n01440764/n01440764_10026.JPEG")
    Name(split='train', stem='n01440764_10026', wnid='n01440764')
    >>> parse("ILSVRC2012_val_00000293_n01440764.JPEG")
    Name(split='val', stem='ILSVRC2012_val_00000293', wnid='n01440764')
    >>> parse("./n01440764_10026.jpg").wnid, parse("n01440764.tar")
    (None, None)
    """
    folder, _, name = path.rpartition("/")
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    stem, val, appended = match.groups()
    if appended is None and is_wnid(of := folder.rpartition("/")[2]):
        appended = of
    return Name("val" if val else "train", stem, appended)


def without_tar(name: str) -> str:
    """Name without the suffix of a tar, in whatever case that is.

    Examples
    --------
    >>> without_tar("n01440764.TAR"), without_tar("n01440764")
    ('n01440764', 'n01440764')
    """
    return name[:-4] if is_tar_name(name) else name


def is_tar_name(name: str) -> bool:
    """Whether a name has the suffix of a tar, in whatever case."""
    return name[-4:].lower() == ".tar"


def is_wnid(name: str) -> bool:
    """Whether a name looks like a WNID: ``n`` and eight digits.

    Examples
    --------
    >>> is_wnid("n01440764"), is_wnid("n1")
    (True, False)
    """
    return _FOLDER.fullmatch(name) is not None
