"""How a command prints its report as JSON."""

from __future__ import annotations

import json
from typing import Any, Protocol


class Report(Protocol):
    """What a command found."""

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        ...


def print_json(report: Report) -> None:
    """Print a report as one JSON object."""
    print(json.dumps(report.to_dict(), indent=2))
