"""Arguments that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

from imagenet_subset.execution.engines import LOCAL, wrong_with
from imagenet_subset.system.cores import available_cores
from pipelines.kinds import AUTO, NAMES, UNASKED, on_gpu
from pipelines.rule import DEFAULT, INTERPOLATIONS, LARGEST_RESIZE, SMALLEST_CROP, PixelRule

Arguments: TypeAlias = argparse.ArgumentParser | argparse._ArgumentGroup
"""What takes flags: a parser, or a group of them that has a heading in ``--help``."""


def add_pipeline(parser: Arguments, *, several: bool = False) -> None:
    """Declare the flags that choose a pipeline; on ``several`` GPUs where the command can."""
    add = parser.add_argument
    add(
        "--device",
        choices=("auto", "gpu", "cpu"),
        default="auto",
        help="where to decode (default: the GPU if DALI, CuPy and CUDA are there)",
    )
    gpu, cpu = on_gpu(AUTO), " if installed, else ".join(kind.name for kind in UNASKED)
    unasked = f"{gpu.name} on a GPU; on the CPU {cpu}" if gpu else cpu
    add(
        "--pipeline",
        choices=(AUTO, *NAMES),
        default=AUTO,
        help=f"what decodes them (default: {unasked})",
    )
    add(
        "--batch_size",
        type=_batch_size,
        metavar="N",
        help="images per batch (default: by pipeline)",
    )
    if several:
        add("--gpu", type=_gpus, metavar="IDS", help="GPUs: 1, 0,2 or all (default: the first)")
    else:
        add("--gpu", type=natural, metavar="ID", help="which GPU (default: the first)")


def add_rule(parser: Arguments) -> None:
    """Declare the flags that say which pixels to make of a photo.

    A command that has them reports in its ``check`` what is `wrong_with_rule`.
    """
    add = parser.add_argument
    add(
        "--resize",
        type=positive,
        default=DEFAULT.resize,
        metavar="R",
        help=f"a photo's shorter side after scaling, up to {LARGEST_RESIZE} (default: %(default)s)",
    )
    add(
        "--crop",
        type=positive,
        default=DEFAULT.crop,
        metavar="C",
        help=f"both sides of the crop from its middle, {SMALLEST_CROP} to R (default: %(default)s)",
    )
    add(
        "--interpolation",
        choices=INTERPOLATIONS,
        default=DEFAULT.interpolation,
        help="how a photo is scaled (default: %(default)s)",
    )


def rule_of(args: argparse.Namespace) -> PixelRule:
    """Rule that the flags of `add_rule` ask for.

    Raises
    ------
    ValueError
        They make none.
    """
    return PixelRule(args.resize, args.crop, args.interpolation)


def wrong_with_rule(args: argparse.Namespace) -> str:
    """Why the flags of `add_rule` make no rule; empty if they make one."""
    try:
        rule_of(args)
    except ValueError as error:
        return str(error)
    return ""


def add_dali_processes(parser: Arguments) -> None:
    """Declare ``--dali_processes``."""
    parser.add_argument(
        "--dali_processes",
        type=_dali_processes,
        metavar="K",
        help="processes of DALI for each GPU: auto (default: 2 where there are 8 cores or more for "
        "each GPU, else 1) or a number; on the CPU, in all",
    )


def add_workers(parser: Arguments) -> None:
    """Declare ``--workers``."""
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help=f"CPU cores to use (default: all that are allowed here, {available_cores()})",
    )


def cores_of(args: argparse.Namespace) -> int:
    """CPU cores that the flag of `add_workers` asks for."""
    return args.workers or available_cores()


def add_executor(parser: Arguments) -> None:
    """Declare ``--executor``."""
    parser.add_argument(
        "--executor",
        type=_engine,
        default=LOCAL,
        metavar="ENGINE",
        help="what decodes: local processes (default); a Dask cluster, dask:tcp://HOST:8786 or "
        "dask:/shared/scheduler.json; or mpi, the ranks that srun or mpiexec started",
    )


def add_train_list(parser: Arguments) -> None:
    """Declare ``--train_list``."""
    parser.add_argument(
        "--train_list",
        type=path,
        metavar="FILE",
        help="train_cls.txt, when it isn't in ImageSets/CLS-LOC beside Data",
    )


def path(text: str) -> str:
    """Path, for argparse; ``~`` is the home folder after a ``=`` too, where shells leave it."""
    return os.path.expanduser(text)


def natural(text: str) -> int:
    """Whole number from 0 on, for argparse."""
    return _at_least(0, text)


def positive(text: str) -> int:
    """Whole number from 1 on, for argparse."""
    return _at_least(1, text)


def fraction(text: str) -> float:
    """Decimal number above 0 and up to 1, for argparse; one that a float keeps as it is."""
    if not re.fullmatch(r"[0-9]*\.?[0-9]+(?:[eE]-[0-9]{1,2})?", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} isn't a decimal number such as 0.01")
    number = float(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"{text} isn't above 0 and up to 1")
    if Fraction(text) != Fraction(repr(number)):
        raise argparse.ArgumentTypeError(f"{text} has too many digits: 15 at most are exact")
    return number


def _at_least(least: int, text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a whole number from {least} on")
    return int(text)


def _engine(text: str) -> str:
    if wrong := wrong_with(text):
        raise argparse.ArgumentTypeError(wrong)
    return text


def _batch_size(text: str) -> int:
    from pipelines.request import LARGEST_BATCH

    return _up_to(LARGEST_BATCH, text)


def _gpus(text: str) -> tuple[int, ...] | str:
    if text == "all":
        return text
    parts = text.split(",")
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 on, some as in 0,2, or all")
    chosen = tuple(map(int, parts))
    if len(set(chosen)) < len(chosen):
        raise argparse.ArgumentTypeError(f"{text!r} names a GPU twice")
    return chosen


def _dali_processes(text: str) -> int | None:
    from pipelines.request import MOST_PROCESSES

    return None if text == AUTO else _up_to(MOST_PROCESSES, text)


def _up_to(most: int, text: str) -> int:
    number = positive(text)
    if number > most:
        raise argparse.ArgumentTypeError(f"{text} is more than {most}")
    return number


def png_path(text: str) -> Path:
    """Path of a PNG file, for argparse."""
    return _ending(text, ".png")


def page_size(text: str) -> tuple[int, int]:
    """Width and height of a page in pixels, for argparse."""
    match = re.fullmatch(r"([0-9]{1,5})[xX]([0-9]{1,5})", text, re.ASCII)
    if not match or not all(480 <= int(side) <= 16_384 for side in match.groups()):
        raise argparse.ArgumentTypeError(
            f"{text!r} isn't a width and a height of 480 to 16384 pixels, as in 1920x1080"
        )
    return int(match[1]), int(match[2])


def html_path(text: str) -> Path:
    """Path of an HTML file, for argparse."""
    return _ending(text, ".html", ".htm")


def _ending(text: str, *suffixes: str) -> Path:
    """Keep a name that the shell put in place of a pattern from being overwritten."""
    named = Path(path(text))
    if named.suffix.lower() not in suffixes:
        raise argparse.ArgumentTypeError(f"{text!r} doesn't end in {' or '.join(suffixes)}")
    return named
