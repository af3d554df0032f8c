"""Where the process begins. It imports nothing new at first: it soon can answer a Ctrl-C."""

import os
import sys

TYPE_CHECKING = False  # as that of `typing`, which takes long to import
if TYPE_CHECKING:
    from imagenet_subset.execution.processes import Workers

_STOPPED = 130
"""128 and the number of SIGINT."""
_begun: "list[Workers]" = []
"""What starts the workers, once that has begun."""


def program() -> int:
    """Run the process's command line and return its exit code."""
    try:
        _import_all()
        from imagenet_subset.cli.main import run_process

        return run_process(*_begun)
    except KeyboardInterrupt:
        exec("")  # see `run_process`
        _say_stopped()
        return _STOPPED


def _import_all() -> None:
    """Import what every command needs; Ctrl-C and SIGTERM end the process at once.

    Raised as an exception a stop would get lost: where NumPy's C code imports Python's, it becomes
    an `ImportError` with a page on broken installations. Nothing has been begun that is to be
    undone but the workers. The command line has a handler of its own for SIGTERM.
    """
    import signal

    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if raises:  # else it is ignored, as under nohup
        signal.signal(signal.SIGINT, _end)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)
    # No process of this program multiplies matrices: OpenBLAS's threads would idle.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from imagenet_subset.cli.glance import begin_workers_of

    if workers := begin_workers_of(sys.argv[1:]):
        _begun.append(workers)
    import numpy  # noqa: F401

    import imagenet_subset.cli.main  # noqa: F401

    if raises:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, _frame: object) -> None:
    for workers in _begun:
        workers.kill()
    _say_stopped("stopped" if number == 2 else "stopped by SIGTERM")
    os._exit(128 + number)


def _say_stopped(how: str = "stopped") -> None:
    try:  # noqa: SIM105 - contextlib may be half imported
        os.write(2, f"imagenet-subset: {how}\n".encode())
    except OSError:  # standard error is closed, or its reader has gone
        pass
