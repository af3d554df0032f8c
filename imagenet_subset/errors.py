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
