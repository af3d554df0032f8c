"""The command line: ``imagenet-subset [COMMAND] ...``; without a command, ``build``.

Each command is a module of `imagenet_subset.commands`. Only these and this one print.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from imagenet_subset import __version__
from imagenet_subset.errors import ImagenetSubsetError, printable
from pipelines.base import PipelineUnavailableError

COMMANDS = ("build", "classes", "demo", "verify", "inspect", "preview", "locate", "selftest")
DEFAULT = "build"
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


class _Parser(argparse.ArgumentParser):
    """Tells wrong usage in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help lists what there is\n")


class Terminated(KeyboardInterrupt):
    """SIGTERM: what Slurm sends before a time limit. Unwinds as Ctrl-C does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code.

    0 is success; 1 a wrong input or a failure, told in one line on stderr; 2 wrong usage; 130 and
    143 a build stopped by Ctrl-C and by SIGTERM.
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        arguments = _normalize(sys.argv[1:] if argv is None else argv)
        parser = _parser()
        if unknown := _unknown_command(arguments):
            parser.error(unknown)
        return _run(parser.parse_args(arguments))
    except Terminated as stop:
        return _stopped("stopped by SIGTERM", stop, TERMINATED)
    except KeyboardInterrupt as stop:
        return _stopped("stopped", stop, INTERRUPTED)


def program() -> int:
    """Run the process's command line; from its end on, Ctrl-C and SIGTERM come too late."""
    _mend_streams()
    code = main()
    _ignore_signals()
    # CPython remembers a KeyboardInterrupt that left an exec() or eval() of text, which dataclasses
    # call as they are made, and though it was caught ends `python -m` as if killed by SIGINT.
    # Running another text makes it forget.
    exec("")
    return code


def _mend_streams() -> None:
    """See that printing never fails: on a closed stream, or for a character that it lacks."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open to the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(args: argparse.Namespace) -> int:
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except (ImagenetSubsetError, PipelineUnavailableError) as error:
        if args.debug:
            raise
        return _fail(str(error), 1)
    except BrokenPipeError:
        # The reader of our output has gone, as in `imagenet-subset classes | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if args.debug:
            raise
        return _fail(_unforeseen(error), 1)
    return code


def _unforeseen(error: Exception) -> str:
    """Line for what nobody thought of; a file that the system refuses is no defect of ours."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{printable(os.fsdecode(error.filename))}: " if error.filename else ""
        return f"{where}{error.strerror}; --debug shows what for"
    what = printable(" ".join(str(error).split()))
    return f"unexpected {type(error).__name__}: {what}; a defect of this program: --debug shows it"


def _stopped(message: str, stop: KeyboardInterrupt, code: int) -> int:
    _ignore_signals()  # the impatient press Ctrl-C twice
    return _fail("; ".join([message, *getattr(stop, "__notes__", [])]), code)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _fail(message: str, code: int) -> int:
    print(f"imagenet-subset: {message}", file=sys.stderr)
    return code


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def _normalize(arguments: Sequence[str]) -> list[str]:
    """Put in the default command, and underscores for hyphens in flags.

    Examples
    --------
    >>> _normalize(["--subset-name=imagenet-30", "--dry-run"])
    ['build', '--subset_name=imagenet-30', '--dry_run']
    """
    known = arguments and arguments[0] in (*COMMANDS, "-h", "--help", "--version")
    return [_flag(word) for word in ([] if known else [DEFAULT]) + list(arguments)]


def _unknown_command(arguments: Sequence[str]) -> str:
    """What to say of a word where only a command can stand; empty if there is none.

    Examples
    --------
    >>> _unknown_command(["build", "inspct", "a.npz"])
    "no command 'inspct'; inspect is near"
    """
    words = [*arguments, "", ""]
    if words[0] != DEFAULT or not words[1] or words[1].startswith("-"):
        return ""
    near = difflib.get_close_matches(words[1], COMMANDS, n=1)
    return f"no command {printable(words[1])!r}" + "".join(f"; {name} is near" for name in near)


def _flag(word: str) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    return "--" + name.replace("-", "_") + equals + value


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="imagenet-subset",
        description="Make a small classification set out of ImageNet (ILSVRC 2012): a list of "
        "WordNet IDs in, one NPZ and one CSV out.",
        epilog="Without a command, build: imagenet-subset --subset_name imagenet30",
    )
    parser.add_argument("--version", action="version", version=f"imagenet-subset {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"imagenet_subset.commands.{name}")
        sub = commands.add_parser(name, help=module.HELP, description=module.HELP)
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser
