"""What can go wrong, as a tree.

::

    ImagenetSubsetError          one line: what, where, expected and found, what to do
    ├── SubsetError              the subset file: unknown or repeated WNID, empty, not found
    ├── SourceError              the ImageNet tree: missing, misplaced or unnumbered images
    ├── OutputError              the output folder or file: read-only, full, not ours
    │   ├── OutputExistsError    a finished file with other contents stands there
    │   ├── LockedError          another build is writing the same file
    │   └── ResumeMismatchError  the unfinished file was begun with other inputs or settings
    ├── UndecodableError         everything is done but the images that can't be decoded
    ├── UnreadableError          everything is done but the photos that can't be read
    ├── WorkerError              where the images are decoded, something is wrong
    │   ├── WorkerStartError     worker processes can't be started
    │   ├── WorkerDiedError      a worker process was killed or crashed
    │   ├── WorkerMemoryError    an image takes more memory than there is
    │   └── UnfitWorkerError     a worker sees other files, or would make other pixels
    └── ReadError                an NPZ that can't be opened or understood
        └── ReadRefusedError     the system doesn't let it be read, so nothing is known of it

Problems of a pipeline itself (DALI not installed, no GPU) are
`pipelines.base.PipelineUnavailableError`. Every message is a single line; `printable` keeps it
so, whatever the file names hold.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


class ImagenetSubsetError(Exception):
    """Base of every error that a user can mend. Its text is one line."""


class SubsetError(ImagenetSubsetError):
    """The subset file is wrong or can't be found."""


class SourceError(ImagenetSubsetError):
    """The ImageNet tree lacks something, or holds something that can't be told apart."""


class OutputError(ImagenetSubsetError):
    """The output can't be written."""


class OutputExistsError(OutputError):
    """A finished file with other contents stands under the output's name."""


class LockedError(OutputError):
    """Another process is building the same output."""


class ResumeMismatchError(OutputError):
    """The unfinished output was begun with other inputs or settings."""


class UndecodableError(ImagenetSubsetError):
    """Every image is done but those that can't be decoded."""


class UnreadableError(ImagenetSubsetError):
    """Every image is done but those whose files can't be read, and those that can't be decoded."""


class WorkerError(ImagenetSubsetError):
    """Something is wrong where the images are decoded."""


class WorkerStartError(WorkerError):
    """Worker processes can't be started."""


class WorkerDiedError(WorkerError):
    """A worker process ended in the middle of its work."""


class WorkerMemoryError(WorkerError):
    """An image takes more memory than there is."""


class UnfitWorkerError(WorkerError):
    """A worker sees other files than the build, or would make other pixels."""


class ReadError(ImagenetSubsetError):
    """An NPZ can't be opened, or isn't what it should be."""


class ReadRefusedError(ReadError):
    """The system doesn't let a file be read: no right, no memory, a failing disk or network.

    It says nothing of what is in the file, which may be sound.
    """


class NoRegularFileError(OSError):
    """What has a file's name is a folder, a pipe or a device; `reading` and `writing` tell it."""


def printable(path: str | os.PathLike[str]) -> str:
    r"""Path as text that fits in one line of a message.

    Control characters and undecodable bytes appear as escapes.

    Examples
    --------
    >>> printable("val/a b\n.JPEG")
    'val/a b\\n.JPEG'
    """
    text = os.fspath(path)
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


@contextlib.contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an operating system's failure to read ``path`` into a `ReadError`.

    Raises
    ------
    ReadError
        It is no file of data, or a decompressor can't make anything of it.
    ReadRefusedError
        Anything else, which is no fault of the file's contents.
    """
    try:
        yield
    except NoRegularFileError as error:
        raise ReadError(f"can't read {printable(path)}: {error.strerror}") from error
    except OSError as error:
        if error.errno is None:  # bz2 raises such for what it can't decompress
            raise ReadError(f"can't read {printable(path)}: {printable(str(error))}") from error
        raise ReadRefusedError(
            f"can't read {printable(path)}: {error.strerror}; put that right and try again"
        ) from error


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], *, kept: bool = False) -> Iterator[None]:
    """Turn an operating system's failure to write ``path`` into an `OutputError`.

    Parameters
    ----------
    kept
        Whether to say that what is done isn't lost.
    """
    try:
        yield
    except OSError as error:
        why, folder = error.strerror or error, Path(path).parent
        if isinstance(error, FileNotFoundError) and not folder.is_dir():
            why = f"there is no folder {printable(folder)}"
        raise OutputError(
            f"can't write {printable(path)}: {why}; {'what is done is kept: ' if kept else ''}"
            "put that right and run the same command again"
        ) from error
