"""Pillow's warnings stay away from the user, and the caller's filters stay as they are."""

from __future__ import annotations

import io
import struct
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from imagenet_subset.demo.photos import exif, jpeg, photo
from pipelines.pillow import decode
from pipelines.quiet import quiet_pillow
from tests.harness.tiers import thorough

SOUND = jpeg(photo(1, 60, 50))
BLOCK = exif(6)[:-9]
BROKEN = SOUND[:2] + struct.pack(">HH", 0xFFE1, len(BLOCK) + 2) + BLOCK + SOUND[2:]
"""Pillow warns of its EXIF block."""


def warn_as_pillow() -> None:
    warnings.warn_explicit("odd", UserWarning, "Image.py", 1, module="PIL.Image")


@pytest.mark.parametrize("action", ["error", "always", "default"])
def test_pillow_warns_neither_on_the_screen_nor_by_an_error(action, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        before = list(warnings.filters)
        assert np.array_equal(decode(BROKEN), decode(SOUND))
        assert warnings.filters == before
    assert capsys.readouterr().err == ""


def test_other_warnings_of_the_same_thread_come_through():
    with quiet_pillow(), pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)


def test_pillows_warnings_in_another_thread_come_through():
    raised = []

    def other() -> None:
        try:
            warn_as_pillow()
        except UserWarning as warning:
            raised.append(str(warning))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet_pillow():
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
    assert raised == ["odd"]


def test_it_may_be_nested():
    before = list(warnings.filters)
    with quiet_pillow():
        with quiet_pillow():
            warn_as_pillow()
        warn_as_pillow()
    assert warnings.filters == before


def test_filters_that_the_caller_gets_meanwhile_are_kept():
    with warnings.catch_warnings():
        with quiet_pillow():
            warnings.filterwarnings("ignore", message="of the caller's")
        assert warnings.filters[0][:1] == ("ignore",)
        assert warnings.filters[0][1] is not None
        assert warnings.filters[0][1].pattern == "of the caller's"


def test_filters_reset_meanwhile_are_no_error():
    with warnings.catch_warnings(), quiet_pillow():
        warnings.resetwarnings()


def test_a_list_of_filters_that_was_copied_meanwhile_is_left_clean():
    before = list(warnings.filters)
    quiet, caught = quiet_pillow(), warnings.catch_warnings()
    quiet.__enter__()
    caught.__enter__()
    quiet.__exit__()
    assert warnings.filters == before
    caught.__exit__(None, None, None)
    assert warnings.filters == before


def test_threads_that_decode_at_once_leave_the_filters_as_they_were():
    before, same = warnings.filters, list(warnings.filters)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(150):
                decode(BROKEN)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert warnings.filters is before
    assert warnings.filters == same


def test_the_broken_block_would_warn_by_itself():
    with pytest.warns(UserWarning, match="Corrupt EXIF"), Image.open(io.BytesIO(BROKEN)) as image:
        image.load()


@thorough("waits for threads")
def test_a_filter_that_another_thread_puts_first_meanwhile_raises_nothing():
    stop = threading.Event()
    before = list(warnings.filters)

    def meddle() -> None:
        while not stop.is_set():
            with warnings.catch_warnings():
                warnings.simplefilter("error")

    thread = threading.Thread(target=meddle)
    thread.start()
    try:
        for _ in range(300):
            assert decode(BROKEN).shape == (224, 224, 3)
    finally:
        stop.set()
        thread.join()
    assert warnings.filters == before
