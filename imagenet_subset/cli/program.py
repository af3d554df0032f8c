"""Where the process begins. It imports nothing new at first: it soon can answer a Ctrl-C."""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagenet_subset.execution.processes import Workers

_STOPPED = 130
"""128 and the number of SIGINT."""


def program() -> int:
    """Run the process's command line and return its exit code."""
    try:
        workers = _import_all()
        from imagenet_subset.cli.main import run_process

        return run_process(workers)
    except KeyboardInterrupt:
        exec("")  # see `run_process`
        _say_stopped()
        return _STOPPED


def _import_all() -> "Workers | None":
    """Import what every command needs; a Ctrl-C ends the process at once.

    Raised as an exception it would get lost: where NumPy's C code imports Python's, it becomes an
    `ImportError` with a page on broken installations. Nothing has been begun that is to be undone:
    what starts the workers ends with this process.
    """
    import signal

    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if raises:  # else it is ignored, as under nohup
        signal.signal(signal.SIGINT, _end)
    # No process of this program multiplies matrices: OpenBLAS's threads would idle.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from imagenet_subset.cli.glance import begin_workers_of

    workers = begin_workers_of(sys.argv[1:])
    import numpy  # noqa: F401

    import imagenet_subset.cli.main  # noqa: F401

    if raises:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return workers


def _end(_signal: int, _frame: object) -> None:
    _say_stopped()
    os._exit(_STOPPED)


def _say_stopped() -> None:
    try:  # noqa: SIM105 - contextlib may be half imported
        os.write(2, b"imagenet-subset: stopped\n")
    except OSError:  # standard error is closed, or its reader has gone
        pass
