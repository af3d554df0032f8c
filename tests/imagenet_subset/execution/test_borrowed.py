"""Somebody's executor as a runner: how many tasks are under way, and what its end is called."""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from imagenet_subset.execution.borrowed import AHEAD, Borrowed, ExecutorGaveUp
from imagenet_subset.execution.local import LocalPool
from imagenet_subset.execution.runner import Runner, Worker

TASKS = 40


class Counting(Executor):
    """Passes tasks on, and notes how many are under way at most."""

    def __init__(self, executor: Executor) -> None:
        self._executor, self._lock = executor, threading.Lock()
        self.now = self.most = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executor, name)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        future = self._executor.submit(fn, *args, **kwargs)
        future.add_done_callback(self._done)
        return future

    def _done(self, _future: Future[Any]) -> None:
        with self._lock:
            self.now -= 1


def results(runner: Runner, tasks: Iterator[tuple[int, Callable[[], int]]]) -> dict[int, int]:
    taken: dict[int, int] = {}
    runner.run(tasks, taken.__setitem__)
    return taken


def squares(count: int = TASKS) -> Iterator[tuple[int, Callable[[], int]]]:
    return ((n, functools.partial(pow, n, 2)) for n in range(count))


@pytest.mark.parametrize(
    "executor",
    [
        lambda: ThreadPoolExecutor(3),
        lambda: ProcessPoolExecutor(3, multiprocessing.get_context("spawn")),
    ],
    ids=["threads", "processes"],
)
def test_no_more_than_two_tasks_a_worker_are_under_way(executor: Callable[[], Executor]) -> None:
    with executor() as three:
        counting = Counting(three)
        assert results(Borrowed(counting), squares()) == {n: n**2 for n in range(TASKS)}
    assert counting.most == 6


def test_seventy_workers_all_work_at_the_same_time() -> None:
    barrier = threading.Barrier(70)
    with ThreadPoolExecutor(70) as executor:
        tasks = ((n, functools.partial(barrier.wait, 20)) for n in range(70))
        assert len(results(Borrowed(executor), tasks)) == 70


class Silent(Executor):
    """Runs a task at once; says of its size what it is reported to."""

    def __init__(self, **says: Any) -> None:
        self.__dict__.update(says)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.mark.parametrize(
    ("says", "ahead"),
    [
        ({}, AHEAD),
        ({"num_workers": 100}, 200),
        ({"max_workers": 5}, 10),
        ({"_max_workers": 1}, 2),
        ({"num_workers": 4, "max_workers": 5, "_max_workers": 6}, 8),
        ({"max_workers": None, "_max_workers": 3}, 6),
        ({"num_workers": 0}, AHEAD),
        ({"num_workers": lambda: 7}, AHEAD),
    ],
)
def test_an_executors_size_is_read_where_it_has_it(says: dict[str, Any], ahead: int) -> None:
    assert Borrowed(Silent(**says)).ahead == ahead


def test_how_many_are_under_way_can_be_told() -> None:
    with ThreadPoolExecutor(3) as executor:
        counting = Counting(executor)
        results(Borrowed(counting, ahead=4), squares())
        assert counting.most == 4


@pytest.mark.parametrize("ahead", [0, -1, 4.0, "3"])
def test_less_than_one_task_under_way_is_refused(ahead: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"ahead is 1 or more, not {ahead!r}")):
        Borrowed(Silent(), ahead)


def test_any_whole_number_may_be_under_way() -> None:
    assert Borrowed(Silent(), np.int64(4)).ahead == 4  # type: ignore[arg-type]


def test_what_is_no_executor_is_refused() -> None:
    with pytest.raises(ValueError, match=r"executor is a concurrent\.futures\.Executor, not 5"):
        Borrowed(5)  # type: ignore[arg-type]


class Refusing(ThreadPoolExecutor):
    """Takes some tasks, and then no more, as when a connection is lost."""

    takes = 3

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.takes -= 1
        if self.takes < 0:
            raise ConnectionError("lost")
        return super().submit(fn, *args, **kwargs)


def test_a_visit_is_given_up_when_the_executor_refuses_it() -> None:
    def me(number: int) -> Worker:
        return ("here", number)

    with Refusing(1) as executor:
        Borrowed(executor).visit({("gone", -1), ("gone", -2)}, me, 5.0)


def test_how_many_are_under_way_is_asked_again_as_workers_come_and_go() -> None:
    sizes = itertools.chain([1, 9, 0, -2, 3], itertools.repeat(2))
    asked: list[int] = []

    def ahead() -> int:
        asked.append(next(sizes))
        return asked[-1]

    with ThreadPoolExecutor(1) as executor:
        counting = Counting(executor)
        taken = results(Borrowed(counting, ahead), squares())
    assert taken == {n: n**2 for n in range(TASKS)}
    assert 1 < counting.most <= 9
    assert asked[:5] == [1, 9, 0, -2, 3]


def no_task(*_: Any) -> Any:
    raise ConnectionError("no\nscheduler")


@pytest.mark.parametrize("part", ["submit", "ahead"])
def test_whatever_an_executor_says_when_it_is_asked_is_its_end(part: str) -> None:
    executor = Silent(**({"submit": no_task} if part == "submit" else {}))
    runner = Borrowed(executor, no_task if part == "ahead" else None)
    with pytest.raises(ExecutorGaveUp) as caught:
        results(runner, squares())
    assert caught.value.told("at work") == "the executor gave up: ConnectionError: no scheduler"


@pytest.mark.processes
def test_an_executor_that_loses_its_workers_has_given_up() -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        with pytest.raises(ExecutorGaveUp) as caught:
            results(Borrowed(executor), iter([(0, functools.partial(os._exit, 1))]))
        assert caught.value.told().startswith("the executor gave up: A process in the process pool")


def test_an_error_of_a_task_is_raised_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        results(Borrowed(Silent()), iter([(0, functools.partial(divmod, 1, 0))]))


def test_each_worker_is_visited_also_the_threads_of_this_process() -> None:
    visited: list[int] = []

    def visit(number: int) -> tuple[str, int]:
        visited.append(number)
        return f"host{number % 3}", 1

    workers = {(f"host{n}", 1) for n in range(3)}
    Borrowed(Silent()).visit(workers, visit, 5.0)
    assert visited[0] == 0
    assert {n % 3 for n in visited} == {0, 1, 2}
    assert len(set(visited)) == len(visited)


def test_both_kinds_of_workers_run_the_same_tasks() -> None:
    with LocalPool(2) as pool:
        pool.warm_up()
        assert results(pool, squares()) == results(Borrowed(Silent()), squares())
