"""What can go wrong, as a tree.

::

    ImagenetSubsetError          one line: what, where, expected and found, what to do
    ├── SubsetError              the subset file, or a list of photos: wrong, empty, not found
    ├── SourceError              the ImageNet tree: missing, misplaced or unnumbered images
    ├── OutputError              the output folder or file: read-only, full, not ours
    │   ├── OutputExistsError    there is a finished file with other contents
    │   ├── LockedError          another build is writing the same file
    │   └── ResumeMismatchError  the unfinished file was begun with other inputs or settings
    ├── UndecodableError         all is done except the images that can't be decoded
    ├── UnreadableError          all is done except the photos that can't be read
    ├── WorkerError              something is wrong where the images are decoded
    │   ├── WorkerStartError     worker processes can't be started
    │   ├── WorkerDiedError      a worker process was killed or crashed
    │   ├── WorkerMemoryError    an image takes more memory than there is
    │   ├── UnfitWorkerError     a worker sees other files, or would make other pixels
    │   └── EngineError          the scheduler or MPI that is to run the work can't be had
    └── ReadError                an NPZ that can't be opened or understood
        └── ReadRefusedError     the system refuses to read it, so nothing is known of it

Problems of a pipeline itself (DALI not installed, no GPU) are
`pipelines.base.PipelineUnavailableError`. Every message is a single line: file names in it go
through `imagenet_subset.system.text.printable`.
"""

from __future__ import annotations


class ImagenetSubsetError(Exception):
    """Base of every error that a user can mend. Its text is one line."""


class SubsetError(ImagenetSubsetError):
    """The subset file or the list of photos is wrong or can't be found."""


class SourceError(ImagenetSubsetError):
    """The ImageNet tree lacks images, or has some whose number or class isn't known."""


class OutputError(ImagenetSubsetError):
    """The output can't be written."""


class OutputExistsError(OutputError):
    """The output's name is taken by a finished file with other contents."""


class LockedError(OutputError):
    """Another process is building the same output."""


class ResumeMismatchError(OutputError):
    """The unfinished output was begun with other inputs or settings."""


class UndecodableError(ImagenetSubsetError):
    """All images are done except those that can't be decoded."""


class UnreadableError(ImagenetSubsetError):
    """All images are done except those that can't be read and those that can't be decoded."""


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


class EngineError(WorkerError):
    """The engine that is to run the work can't be had: not installed, not reached, no workers."""


class ReadError(ImagenetSubsetError):
    """An NPZ can't be opened, or isn't what it should be."""


class ReadRefusedError(ReadError):
    """The system refuses to read a file: no permission, no memory, a failing disk or network.

    The file itself may be sound.
    """
