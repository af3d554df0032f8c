"""What the program says when it is called without a word: what it is, and what to do first."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

from imagenet_subset.errors import ImagenetSubsetError, LockedError
from imagenet_subset.system.text import printable

_DATA_DIR, _OUT_DIR = Path("Data/CLS-LOC"), Path("out_files")
"""The defaults of ``build``, below the current folder."""
_NAMED = 3
"""Unfinished files that are named."""

_WHAT_IT_IS = """\
imagenet-subset makes a small classification set out of ImageNet (ILSVRC 2012):
a list of classes goes in; one NPZ of 224x224 images with their labels, and one
CSV of the classes, come out.

  imagenet-subset demo       try it on generated photos; nothing to download
  imagenet-subset subsets    see the lists of classes that come with it
  imagenet-subset --subset_name imagenet30{data_dir}
                             build one of them{where}

imagenet-subset --help lists the other commands, and imagenet-subset build
--help the flags of this one."""

_WHERE_FROM = """
ImageNet doesn't come with it. Any of these will do as it was downloaded, and so
will the folders of photos in it:

  image-net.org   after registration: ILSVRC2012_img_train.tar (148 GB) and
                  ILSVRC2012_img_val.tar (6.7 GB)
  Kaggle          imagenet-object-localization-challenge.zip (about 167 GB)
  Hugging Face    the parquet files of ILSVRC/imagenet-1k (about 150 GB)

Each has its terms of access."""


def run(_args: argparse.Namespace) -> int:
    """Print what the program is, what is here already, and where ImageNet is to be had."""
    print("\n".join(_page()))
    return 0


def _page() -> Iterator[str]:
    here = _DATA_DIR.is_dir()
    where = "" if here else "; PATH is ImageNet, in any form"
    yield _WHAT_IT_IS.format(data_dir="" if here else " --data_dir PATH", where=where)
    found = [*_unfinished()]
    if here:
        found.append(f"{_DATA_DIR} is here, so that --data_dir can be left out.")
    if found:
        yield ""
        yield from found
    if not here:
        yield _WHERE_FROM


def _unfinished() -> Iterator[str]:
    """A line on each build in the usual folder that is at work or can go on."""
    partials = sorted(_OUT_DIR.glob("*_cls*.npz.partial"))
    at_work = [_is_at_work(partial) for partial in partials[:_NAMED]]
    for partial, being_built in zip(partials[:_NAMED], at_work, strict=True):
        npz = partial.with_suffix("")
        done = _done(npz.with_name(f"{npz.name}.journal"))
        yield f"{printable(npz)} is {'being built' if being_built else 'unfinished'}{done}."
    if len(partials) > _NAMED:
        yield f"{len(partials) - _NAMED} more in {_OUT_DIR} are unfinished."
    if partials and not all(at_work):
        yield "The same command as before goes on with an unfinished file."


def _is_at_work(partial: Path) -> bool:
    """Whether a build holds the lock of its file."""
    from imagenet_subset.system.publishing import check_not_locked

    try:
        check_not_locked(partial)
    except LockedError:
        return True
    except OSError:  # it has just got its name, or can't be read
        return False
    return False


def _done(journal: Path) -> str:
    """How many of its images are done; empty if that can't be said."""
    from imagenet_subset.building.journal import count_done

    with contextlib.suppress(OSError, ImagenetSubsetError):
        done, rows = count_done(journal)
        return f": {done:,} of {rows:,} images are done"
    return ""
