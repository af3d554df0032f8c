"""Engines by name: what is asked for, and what is told where one can't be had."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from imagenet_subset import build
from imagenet_subset.errors import EngineError
from imagenet_subset.execution import mpi, scheduler
from imagenet_subset.execution.borrowed import Borrowed
from imagenet_subset.execution.engines import LOCAL, Engine, check_engine, opened, wrong_with
from imagenet_subset.execution.mpi import told_rank
from imagenet_subset.execution.scheduler import is_address, reached

GOOD = ["local", "mpi", "dask:tcp://10.0.0.1:8786", "dask:login1:8786", "dask:/shared/s.json"]
BAD = ["", "Local", "dask", "dask:", "slurm", "mpi:8", "tcp://10.0.0.1:8786"]


@pytest.mark.parametrize("name", GOOD)
def test_an_engine_has_its_name(name: str) -> None:
    assert wrong_with(name) == ""
    check_engine(name, workers=None, gpus=None)


@pytest.mark.parametrize("name", BAD)
def test_what_names_no_engine_is_refused(name: str) -> None:
    told = f"{name!r} isn't local, dask:ADDRESS, dask:FILE or mpi"
    assert wrong_with(name) == told
    with pytest.raises(ValueError, match=f"^executor: {re.escape(told)}$"):
        build("imagenet30", executor=name)


def test_a_wrong_engine_is_wrong_usage(cli) -> None:
    done = cli("--subset_name", "imagenet30", "--executor", "slurm")
    assert done.returncode == 2
    assert "'slurm' isn't local, dask:ADDRESS, dask:FILE or mpi" in done.stderr


@pytest.mark.parametrize("name", GOOD[1:])
def test_workers_go_with_local_alone(name: str, cli) -> None:
    told = "--workers 3 goes with --executor local alone; another engine has the workers that"
    with pytest.raises(ValueError, match=f"^{told}"):
        build("imagenet30", executor=name, workers=3)
    if name != "mpi":
        done = cli("--subset_name", "imagenet30", "--executor", name, "--workers", 3)
        assert (done.returncode, done.stderr.count(told)) == (2, 1)


@pytest.mark.parametrize(("gpus", "asked"), [("all", "all"), ([0, 2], "0,2"), ((1, 3), "1,3")])
def test_several_gpus_are_for_one_machine(gpus: Any, asked: str) -> None:
    engines: list[Engine] = [*GOOD[1:], ThreadPoolExecutor(1)]
    for engine in engines:
        with pytest.raises(ValueError, match=f"^--gpu {asked} is for the processes of one machine"):
            check_engine(engine, workers=None, gpus=gpus)
    check_engine(LOCAL, workers=2, gpus=gpus)


@pytest.mark.parametrize("gpus", [None, 1, [1], (0,)])
def test_one_gpu_is_each_workers(gpus: Any) -> None:
    for engine in GOOD:
        check_engine(engine, workers=None, gpus=gpus)


def test_an_executor_is_borrowed() -> None:
    with ThreadPoolExecutor(1) as executor, opened(executor) as runner:
        assert isinstance(runner, Borrowed)
        assert not runner.on_this_machine
        with opened(runner) as same:
            assert same is runner
    with opened(LOCAL) as none:
        assert none is None


# Dask


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever isn't there isn't waited for long."""
    monkeypatch.setattr(scheduler, "SCHEDULER_SECONDS", 0.5)
    monkeypatch.setattr(scheduler, "WORKER_SECONDS", 0.5)
    monkeypatch.setattr(scheduler, "_TELL_SECONDS", 0.1)


def refusal(where: str) -> tuple[str, list[str]]:
    """What is told where no cluster is reached, and what was told while it was waited for."""
    pytest.importorskip("distributed", reason="the dask extra isn't installed")
    lines: list[str] = []
    with pytest.raises(EngineError) as caught, reached(where, lines.append):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value), lines


@pytest.mark.usefixtures("impatient")
def test_a_scheduler_that_is_not_there_is_told_with_its_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        told, lines = refusal(where)
    why = told.partition(" (")[2].partition("); start")[0]
    assert why
    assert told == (
        f"--executor dask: no scheduler answers at {where} ({why}); start one with its workers "
        "(dask scheduler), or correct the address"
    )
    assert lines == [f"waits for the scheduler at {where}"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]", b'{"address": 5}', b'{"addr'])
def test_a_schedulers_file_that_says_nothing_is_told(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "scheduler.json"
    if content is not None:
        file.write_bytes(content)
    told, lines = refusal(str(file))
    assert told.startswith(f"--executor dask: no scheduler answers at {file} (")
    assert "dask scheduler --scheduler-file FILE" in told
    assert ("it is no scheduler's file" in told) == (content is not None)
    assert lines in ([], [f"waits for the scheduler at {file}"])


@pytest.mark.usefixtures("impatient")
def test_a_file_of_a_scheduler_that_has_gone_is_told(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        (tmp_path / "s.json").write_text(json.dumps({"address": address}))
        told, _ = refusal(str(tmp_path / "s.json"))
    assert "s.json (" in told
    assert "(dask scheduler --scheduler-file FILE)" in told


@pytest.mark.usefixtures("impatient")
def test_a_port_where_somebody_else_listens_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        told, _ = refusal(where)
    assert told.startswith(f"--executor dask: no scheduler answers at {where} (")


def test_a_folder_is_no_schedulers_file(tmp_path: Path) -> None:
    told, lines = refusal(str(tmp_path))
    assert "Is a directory" in told
    assert lines == []


def test_a_scheduler_by_tls_without_certificates_is_told_at_once() -> None:
    told, lines = refusal("tls://127.0.0.1:8786")
    assert "TLS" in told
    assert lines == []


def test_a_cluster_in_place_of_an_executor_is_told_what_to_give() -> None:
    class Cluster:
        def get_executor(self) -> None:
            """As Dask's client has it."""

    with pytest.raises(ValueError, match=r"; give its get_executor\(\)$"):
        Borrowed(Cluster())  # type: ignore[arg-type]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("where", ["ftp://127.0.0.1:1", "tcp://127.0.0.1:99999", "tcp://:x"])
def test_an_address_that_is_none_is_told(where: str) -> None:
    told, _ = refusal(where)
    assert told.startswith(f"--executor dask: no scheduler answers at {where} (")


def test_what_is_an_address_and_what_is_a_file() -> None:
    assert all(map(is_address, ["tls://a:1", "a.b:8786", "inproc://1/2", "ucx://a:1"]))
    assert not any(map(is_address, ["./s.json", "C:\\s.json", "/a:b/s.json", "a:b"]))


def without(module: str) -> str:
    return (
        "import sys\n"
        f"sys.modules[{module!r}] = None\n"
        "from imagenet_subset.cli.program import program\n"
        "sys.exit(program())\n"
    )


@pytest.mark.parametrize(
    ("module", "name", "engine", "install"),
    [
        ("distributed", "distributed", "dask:tcp://127.0.0.1:8786", scheduler.INSTALL),
        ("mpi4py", "mpi4py", "mpi", mpi.INSTALL),
    ],
)
def test_a_missing_extra_is_told_with_its_pip_line(
    tree, subset_file, tmp_path, module, name, engine, install
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", without(module), "--subset_name", str(subset_file),
         "--data_dir", str(tree), "--executor", engine],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        1,
        f"imagenet-subset: --executor {engine.partition(':')[0]}: {name} isn't installed: "
        f"{install}\n",
    )


# MPI


@pytest.mark.parametrize(
    ("variables", "rank"),
    [({}, 0), ({"PMI_RANK": "3"}, 3), ({"SLURM_PROCID": "64"}, 64), ({"PMI_RANK": "none"}, 0)],
)
def test_a_rank_is_told_by_what_started_it(variables, rank, monkeypatch) -> None:
    for name in ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert told_rank() == rank
