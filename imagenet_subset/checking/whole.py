"""All checks of a finished NPZ, one after the other; the command line and Python share them."""

from __future__ import annotations

import os
from pathlib import Path

from imagenet_subset.checking.choice import check_choice
from imagenet_subset.checking.file import VerifyReport, verify
from imagenet_subset.checking.pixels import compare_with_photos
from imagenet_subset.progress.display import Display
from imagenet_subset.progress.meter import BYTES, Work


def verify_all(
    path: str | Path,
    data_dir: str | Path | None,
    train_list: str | Path | None,
    photo_list: str | Path | None,
    *,
    sample: int | None,
    workers: int,
    display: Display,
) -> VerifyReport:
    """Check a file by itself, the choice of its train photos and, with ``data_dir``, its pixels.

    See `imagenet_subset.verify`; ``display`` shows how far each of the checks is.
    """
    size = os.path.getsize(path) if os.path.isfile(path) else 0
    if size:
        display.begin(Work("checksums", size, BYTES))
    read = 0

    def count(nbytes: int) -> None:
        nonlocal read
        read += nbytes
        display.advance(nbytes)

    report = verify(path, workers=workers, progress=count)
    display.advance(max(0, size - read))  # what is between the arrays
    if not report.readable:
        return report
    display.begin(Work("choice of train photos", leave=False))
    check_choice(report, data_dir, train_list, photo_list)
    if data_dir is None:
        return report
    display.begin(Work("looks for the photos", leave=False))
    compare_with_photos(
        report,
        data_dir,
        train_list=train_list,
        sample=sample,
        workers=workers,
        begins=lambda photos: display.begin(Work("pixels", photos, "photos")),
        progress=display.advance,
    )
    return report
