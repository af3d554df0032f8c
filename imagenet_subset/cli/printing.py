"""How a command prints its report as JSON: alone on standard output, all else on standard error.

After an error standard output is empty: the line on standard error and the exit code say it. Only
a dry run, which was asked for what is wrong, has the error as its report.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any, Protocol


class Report(Protocol):
    """What a command found or did."""

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        ...


def add_json(parser: argparse._ActionsContainer, what: str = "print the report as JSON") -> None:
    """Declare ``--json``."""
    parser.add_argument("--json", action="store_true", help=what)


def print_json(report: Report | Sequence[Report]) -> None:
    """Print a report as one JSON object, or several as one array."""
    if isinstance(report, Sequence):
        value: Any = [each.to_dict() for each in report]
    else:
        value = report.to_dict()
    print(json.dumps(value, indent=2))
