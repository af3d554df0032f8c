"""docs/clusters.md: its trials, job files and executor run where their engines are."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from imagenet_subset.cli.usage import parse
from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from tests.harness import pages
from tests.harness.engines import AS_ROOT, mpiexec, needs_dask, needs_mpi
from tests.harness.pages import blocks
from tests.harness.tiers import thorough

SHELL = [block.text for block in blocks("docs/clusters.md") if block.language == "sh"]
TRIAL, MPI_TRIAL, DASK_JOB, MPI_JOB = SHELL
POOL, _ = (block.text for block in blocks("docs/clusters.md") if block.language == "python")
COMMANDS = re.findall(
    r"imagenet-subset --subset_name .*", "".join(SHELL).replace("\\\n", " ")
)  # of whatever starts it
DEMO = "demo/demo5.txt --data_dir demo/ILSVRC"


def test_it_shows_each_engine_in_a_trial_and_in_a_job() -> None:
    engines = [parse(shlex.split(command)[1:]).executor for command in COMMANDS]
    assert engines == ["dask:scheduler.json", "mpi", "dask:$file", "mpi"]


@pytest.mark.parametrize("job", [DASK_JOB, MPI_JOB], ids=["dask", "mpi"])
def test_its_job_files_are_right_bash_with_the_options_at_the_top(job: str) -> None:
    first, *rest = job.splitlines()
    assert first == "#!/bin/bash"
    options = rest[: rest.index("")]
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+=[\w:]+", option) for option in options)
    subprocess.run(["bash", "-n"], input=job, text=True, check=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo is built already, as on the page, of fewer classes."""
    folder = tmp_path_factory.mktemp("clusters")
    write_demo_tree(folder / "demo/ILSVRC", wnids=DEMO_WNIDS[:2])
    (folder / "demo/demo5.txt").write_text("\n".join(DEMO_WNIDS[:2]) + "\n")
    run(f"imagenet-subset --subset_name {DEMO} --device cpu --out_dir demo/out_files", folder)
    return folder


def run(script: str, folder: Path) -> str:
    """Run lines of the page on the CPU; what they print."""
    script = script.replace("--executor", "--device cpu --executor")
    return pages.run(["bash", "-c", script], folder, env={**AS_ROOT, "SLURM_JOB_ID": "1"})


def on_the_demo(script: str, out_dir: str) -> str:
    """A job file whose build is the demo's."""
    script = script.replace("imagenet30 --data_dir /shared/ILSVRC", DEMO)
    return script.replace("/shared/out", out_dir)


def is_the_same(folder: Path, out_dir: str) -> bool:
    made, plain = (folder / name / "demo5_cls.npz" for name in (out_dir, "demo/out_files"))
    return made.read_bytes() == plain.read_bytes()


@needs_dask
@thorough("runs what the page shows")
def test_its_trial_of_dask_makes_the_same_bytes_and_leaves_nothing_running(folder: Path) -> None:
    lines = [line for line in TRIAL.splitlines() if not line.startswith("pip ")]
    lines.remove("imagenet-subset demo")  # which `folder` has done
    assert "the same bytes" in run("\n".join([*lines, "wait"]), folder)
    assert not (folder / "scheduler.json").exists()  # which a scheduler that ends in order removes


@needs_mpi
@thorough("runs what the page shows")
def test_its_trial_of_mpi_makes_the_same_bytes(folder: Path) -> None:
    head = shlex.join(mpiexec(3))
    assert "mpiexec -n 3 " in MPI_TRIAL
    run(MPI_TRIAL.replace("mpiexec -n 3", head), folder)
    assert is_the_same(folder, "on_mpi")


@needs_dask
@thorough("runs what the page shows")
def test_its_job_file_for_dask_builds_where_srun_starts_one_task(folder: Path) -> None:
    srun = 'srun() { shift; exec "$@"; }\n'
    assert "srun --overlap dask" in DASK_JOB
    printed = run(srun + on_the_demo(DASK_JOB, "job_dask"), folder)
    assert is_the_same(folder, "job_dask")
    assert "by 1 worker: " in printed


@needs_mpi
@thorough("runs what the page shows")
def test_its_job_file_for_mpi_builds_where_srun_starts_as_many_as_mpiexec(folder: Path) -> None:
    srun = f'srun() {{ shift; {shlex.join(mpiexec(3))} "$@"; }}\n'
    assert "srun --mpi=pmix imagenet-subset" in MPI_JOB
    run(srun + on_the_demo(MPI_JOB, "job_mpi"), folder)
    assert is_the_same(folder, "job_mpi")


@thorough("runs what the page shows")
def test_its_executor_makes_the_same_bytes(folder: Path) -> None:
    (folder / "pool.py").write_text(
        POOL.replace("executor=executor", "executor=executor, device='cpu'")
    )
    run("python -Wignore pool.py", folder)
    assert is_the_same(folder, "on_pool")
