"""The command line: ``imagenet-subset [COMMAND] ...``; without a command, ``build``.

Without a word it says what it is.

Each command is a module of `imagenet_subset.cli.commands`. Only these and this one print.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from imagenet_subset.cli.ranks import ranks
from imagenet_subset.cli.streams import STANDARD_OUTPUT, drop_unwritten, mend_streams
from imagenet_subset.cli.usage import parse
from imagenet_subset.errors import EngineError, ImagenetSubsetError
from imagenet_subset.execution.signals import ignore_signals
from imagenet_subset.system.shadowed import check_pipelines
from imagenet_subset.system.text import printable

if TYPE_CHECKING:
    from imagenet_subset.execution.processes import Workers

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


class Terminated(KeyboardInterrupt):
    """SIGTERM: what Slurm sends before a time limit. Unwinds as Ctrl-C does."""


def main(argv: Sequence[str] | None = None, workers: Workers | None = None) -> int:
    """Run a command line and return the exit code; ``workers`` were begun for it already.

    0 is success; 1 a wrong input or a failure, reported in one line on stderr; 2 wrong usage; 130
    and 143 a build stopped by Ctrl-C and by SIGTERM.
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        words = sys.argv[1:] if argv is None else argv
        with contextlib.ExitStack() as ending:
            if workers:
                ending.enter_context(contextlib.closing(workers))
            if not ending.enter_context(ranks(words)):
                return 0
            if wrong := _wrong_place():
                return _fail(wrong, 1)
            args = parse(words)
            args.workers_begun = workers
            return _run(args)
    except EngineError as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt as stop:
        return _stopped(stop)
    except Exception as error:
        if behind := _stop_behind(error):
            return _stopped(behind)
        raise


def run_process(workers: Workers | None = None) -> int:
    """Run the process's command line. Once it is done, Ctrl-C and SIGTERM are ignored.

    ``workers`` are those that were begun when there was no more than a glance at it.
    """
    mend_streams()
    sys.unraisablehook = _stop_anyway
    try:
        code = main(workers=workers)
    except SystemExit:  # wrong usage, or --help
        ignore_signals()
        raise
    drop_unwritten()
    ignore_signals()
    # CPython remembers a KeyboardInterrupt that left an exec() or eval() of text, such as those by
    # which dataclasses are made. Even if it was caught, `python -m` then ends as if killed by
    # SIGINT. Running another text makes it forget.
    exec("")
    gc.freeze()  # the system takes all memory back: nothing in it need be looked at once more
    return code


def _stop_anyway(lost: sys.UnraisableHookArgs) -> None:
    """Repeat a stop that Python has dropped, since it came where no exception can be raised.

    Such a place is a callback in the middle of an import, when its lock is released.
    """
    if lost.exc_type is KeyboardInterrupt:
        threading.Timer(0.01, signal.raise_signal, [signal.SIGINT]).start()
    elif lost.exc_type is Terminated:
        threading.Timer(0.01, signal.raise_signal, [signal.SIGTERM]).start()
    else:
        sys.__unraisablehook__(lost)


def _wrong_place() -> str:
    """Why no command can run here; empty if all can."""
    try:
        check_pipelines()
        os.getcwd()
    except ImportError as error:
        return str(error)
    except OSError as error:
        return f"the current folder: {error.strerror}; change to a folder that is there"
    return ""


def _run(args: argparse.Namespace) -> int:
    from pipelines.base import PipelineUnavailableError

    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except (ImagenetSubsetError, PipelineUnavailableError) as error:
        if args.debug:
            raise
        return _fail(str(error), 1)
    except BrokenPipeError:
        return 1  # the reader of our output has gone, as in `imagenet-subset classes | head`
    except Exception as error:
        if args.debug or _stop_behind(error):
            raise
        return _fail(_unforeseen(error), 1)
    return code


def _unforeseen(error: Exception) -> str:
    """Line for an unforeseen error. A file that the system refuses is no defect of this program."""
    if isinstance(error, MemoryError):
        return "out of memory; --debug shows where"
    if isinstance(error, OSError) and error.strerror:
        where = f"{printable(os.fsdecode(error.filename))}: " if error.filename else ""
        hint = "" if error.filename == STANDARD_OUTPUT else "; --debug shows what for"
        return f"{where}{error.strerror}{hint}"
    what = printable(" ".join(str(error).split()))
    if isinstance(error, ImportError):
        return f"a library can't be imported: {what}; --debug shows where"
    return f"unexpected {type(error).__name__}: {what}; a defect of this program: --debug shows it"


def _stop_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """The stop that became this error: Python 3.11 makes it one where a class gets its fields."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return error
        error = error.__cause__
    return None


def _stopped(stop: KeyboardInterrupt) -> int:
    ignore_signals()  # the impatient press Ctrl-C twice
    by_sigterm = isinstance(stop, Terminated)
    message = "stopped by SIGTERM" if by_sigterm else "stopped"
    text = "; ".join([message, *getattr(stop, "__notes__", [])])
    return _fail(text, TERMINATED if by_sigterm else INTERRUPTED)


def _fail(message: str, code: int) -> int:
    print(f"imagenet-subset: {message}", file=sys.stderr)
    return code


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated
