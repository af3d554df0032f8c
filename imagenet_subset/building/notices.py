"""What pipelines log in a worker, as lines for the user."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator


class _Handler(logging.Handler):
    """Collects what the thread that made it logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.messages.append(record.getMessage())


@contextlib.contextmanager
def noticed() -> Iterator[list[str]]:
    """Collect what pipelines log in this thread during the context."""
    handler, logger = _Handler(), logging.getLogger("pipelines")
    logger.addHandler(handler)
    try:
        yield handler.messages
    finally:
        logger.removeHandler(handler)
