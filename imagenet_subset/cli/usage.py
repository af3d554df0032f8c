"""Turns the words of a command line into a command with its arguments, or says what is wrong."""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
from collections.abc import Collection, Sequence
from typing import Any, NoReturn

from imagenet_subset.cli import welcome
from imagenet_subset.system.text import printable
from imagenet_subset.version import __version__

COMMANDS = (
    "build",
    "classes",
    "subsets",
    "demo",
    "verify",
    "inspect",
    "preview",
    "locate",
    "train_list",
    "selftest",
)
"""In the order in which `--help` lists them; each is a module of `imagenet_subset.cli.commands`. If
some values of its flags exclude each other, its ``check(args)`` says why; empty if all is well."""
DEFAULT = "build"


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line. Takes no abbreviations: new flags would break them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {printable(message)}; {self.prog} --help lists what there is\n")

    def unknown_flag(self, words: Sequence[str]) -> str:
        """Message on the first flag that it doesn't have; empty if it has all."""
        known = self._option_string_actions  # argparse alone would ask for required flags first
        for word in _before_the_end(words):
            name = word.partition("=")[0]
            if _is_flag(name) and name not in known:
                return f"no flag {name}{_near(name, known)}"
        return ""


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read a command line, without the program's name.

    Returns
    -------
    argparse.Namespace
        ``run`` is the command to call with it, and without a word the welcome; ``check`` has said
        that its flags go together; ``debug`` is there for all.

    Raises
    ------
    SystemExit
        With 2 for wrong usage, which has been printed; with 0 after ``--help`` and ``--version``.
    """
    if not words:
        return argparse.Namespace(run=welcome.run, debug=False)
    words = _normalize(words)
    parser, commands = _parsers([words[0]] if words[0] in COMMANDS else COMMANDS)
    if unknown := _unknown_command(words):
        parser.error(unknown)
    command = commands.get(words[0], parser)
    if wrong := command.unknown_flag(words[1:]) or _nothing_to_build(words):
        command.error(wrong)
    args, rest = parser.parse_known_args(words)
    if rest:
        command.error(f"{rest[0]!r} isn't expected")
    if wrong := args.check(args):
        command.error(wrong)
    return args


def _parsers(names: Sequence[str]) -> tuple[_Parser, dict[str, _Parser]]:
    """The program's parser, and that of each of some commands, which are imported for it."""
    parser = _Parser(
        prog="imagenet-subset",
        description="Make a small classification set out of ImageNet (ILSVRC 2012): a list of "
        "WordNet IDs in, one NPZ and one CSV out.",
        epilog="Without a command, build: imagenet-subset --subset_name imagenet30",
    )
    version = f"imagenet-subset {__version__}"
    parser.add_argument("--version", action="version", version=version)
    adder = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in names:
        module = importlib.import_module(f"imagenet_subset.cli.commands.{name}")
        sub = adder.add_parser(name, help=module.HELP, description=module.HELP)
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
        sub.add_argument("--version", action="version", version=version, help=argparse.SUPPRESS)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run, check=getattr(module, "check", _nothing_wrong))
    return parser, dict(adder.choices)


def _nothing_wrong(_args: argparse.Namespace) -> str:
    """``check`` of a command whose flags all go together."""
    return ""


def _normalize(words: Sequence[str]) -> list[str]:
    """Put in the default command, and underscores for hyphens in flags.

    A value such as ``-5x5`` is put behind its flag: argparse alone would take it for another one,
    and say that the flag has no value instead of which ones it may have.

    Examples
    --------
    >>> _normalize(["--subset-name=imagenet-30", "--dry-run", "--", "--a-b"])
    ['build', '--subset_name=imagenet-30', '--dry_run', '--', '--a-b']
    >>> _normalize(["preview", "a.npz", "--size", "-5x5"])
    ['preview', 'a.npz', '--size=-5x5']
    """
    known = words and words[0] in (*COMMANDS, "-h", "--help", "--version")
    flags = _before_the_end(words)
    named: list[str] = [] if known else [DEFAULT]
    for word in map(_flag, flags):
        if re.match("-[0-9]", word) and named and re.fullmatch("--[^=]+", named[-1]):
            named[-1] += f"={word}"
        else:
            named.append(word)
    return [*named, *words[len(flags) :]]


def _before_the_end(words: Sequence[str]) -> Sequence[str]:
    """The words before ``--``, after which there are no flags."""
    return words[: words.index("--")] if "--" in words else words


def _flag(word: str) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    return "--" + name.replace("-", "_") + equals + value


def _is_flag(word: str) -> bool:
    """Whether a word is a flag, and not the ``-3`` or ``-`` that is a value.

    Examples
    --------
    >>> [_is_flag(word) for word in ("--json", "-v", "-", "-3", "-.5", "a-b")]
    [True, True, False, False, False, False]
    """
    return word.startswith("-") and word.lstrip("-")[:1].isalpha()


def _unknown_command(words: Sequence[str]) -> str:
    """Message on a word where a command should be; empty if there is none.

    Examples
    --------
    >>> _unknown_command(["build", "inspct", "a.npz"])
    "no command 'inspct' (did you mean inspect?)"
    """
    words = [*words, "", ""]
    if words[0] != DEFAULT or not words[1] or words[1].startswith("-"):
        return ""
    return f"no command {words[1]!r}{_near(words[1], [*COMMANDS, '--help', '--version'])}"


def _nothing_to_build(words: Sequence[str]) -> str:
    """Message on a build of which nobody says what it builds; empty for all others.

    Examples
    --------
    >>> _nothing_to_build(["build", "--quiet"])[:25]
    '--subset_name is missing:'
    """
    names = {word.partition("=")[0] for word in _before_the_end(words)}
    if words[0] != DEFAULT or names & {"--subset_name", "-h", "--help", "--version"}:
        return ""
    return "--subset_name is missing: a list of classes, such as imagenet30"


def _near(word: str, known: Collection[str]) -> str:
    """End of a message that asks for the name that was meant; empty if none is close.

    Examples
    --------
    >>> _near("-v", ["--help", "--version"]), _near("-d", ["--debug", "--device"])
    (' (did you mean --version?)', '')
    """
    names = {name.lstrip("-"): name for name in known}
    bare = word.lstrip("-")
    begun = sorted(name for name in names if name.startswith(bare)) if bare else []
    if len(bare) == 1:
        near = begun if len(begun) == 1 else []
    else:
        near = begun or difflib.get_close_matches(bare, names, n=1)
    return f" (did you mean {names[near[0]]}?)" if near else ""
