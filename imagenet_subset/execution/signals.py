"""Ctrl-C and SIGTERM, delayed to a safe moment."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""Signals that end a build. A terminal and a batch system send them to all of its processes."""


@contextlib.contextmanager
def signals_held() -> Iterator[Callable[[], None]]:
    """Delay Ctrl-C and SIGTERM within a block, if they have a handler.

    Yields
    ------
    Callable[[], None]
        Runs the handler of the first signal that came so far, which usually raises
        `KeyboardInterrupt`. Later signals are dropped.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None  # signals interrupt the main thread only
        return
    caught: list[tuple[int, FrameType | None]] = []
    handlers = {n: h for n in STOPPING if callable(h := signal.getsignal(n))}

    def let_through() -> None:
        if caught:
            number, frame = caught[0]
            handlers[signal.Signals(number)](number, frame)

    for number in handlers:
        signal.signal(number, lambda *signalled: caught.append(signalled))
    try:
        yield let_through
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    let_through()


@contextlib.contextmanager
def signals_noted() -> Iterator[Callable[[], bool]]:
    """Within a block, ignore Ctrl-C, which is for others, and only note SIGTERM.

    Yields
    ------
    Callable[[], bool]
        Whether SIGTERM has come. Where signals can't be handled, in a thread, it never has.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in STOPPING}
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Keep Ctrl-C and SIGTERM from processes that start within the block.

    Otherwise one could end them before they ignore it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_signals() -> None:
    """Ignore Ctrl-C and SIGTERM from now on, also those that are still blocked."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
