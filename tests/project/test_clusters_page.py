"""docs/clusters.md: its commands, job files and executors run, and its links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from imagenet_subset.cli.usage import parse
from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from tests.harness.engines import AS_ROOT, mpiexec, needs_dask, needs_mpi
from tests.harness.tiers import thorough

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/clusters.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
TRIAL, MPI_TRIAL, DASK_JOB, MPI_JOB = BLOCKS
POOL, RAY = re.findall(r"```python\n(.*?)```", PAGE, re.S)
COMMANDS = re.findall(
    r"imagenet-subset --subset_name .*", "".join(BLOCKS).replace("\\\n", " ")
)  # of whatever starts it
PYTHON = shlex.quote(sys.executable)
DEMO = "demo/demo5.txt --data_dir demo/ILSVRC"


def test_it_is_short_and_the_readme_leads_to_it() -> None:
    assert len(PAGE.splitlines()) < 200
    assert "(docs/clusters.md)" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_program_takes_its_commands(command: str) -> None:
    assert parse(shlex.split(command)[1:]).executor != "local"


def test_it_shows_each_engine_in_a_trial_and_in_a_job() -> None:
    engines = [parse(shlex.split(command)[1:]).executor for command in COMMANDS]
    assert engines == ["dask:scheduler.json", "mpi", "dask:$file", "mpi"]


def test_the_extras_that_it_names_are_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = re.findall(r'pip install "\.\[(.*?)\]"', PAGE)
    assert named == ["turbo,dask", "turbo,mpi"]
    assert {extra for names in named for extra in names.split(",")} <= extras.keys()


@pytest.mark.parametrize("job", [DASK_JOB, MPI_JOB], ids=["dask", "mpi"])
def test_its_job_files_are_right_bash_with_the_options_at_the_top(job: str) -> None:
    first, *rest = job.splitlines()
    assert first == "#!/bin/bash"
    options = rest[: rest.index("")]
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+=[\w:]+", option) for option in options)
    subprocess.run(["bash", "-n"], input=job, text=True, check=True)


@pytest.mark.parametrize("code", [POOL, RAY], ids=["pool", "ray"])
def test_what_its_python_imports_of_the_program_is_there(code: str) -> None:
    compile(code, "clusters.md", "exec")
    imports = re.findall(r"^from imagenet_subset.*", code, re.M)
    assert imports
    exec("\n".join(imports), {})


def test_its_links_lead_to_its_headings() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.M)
    anchors = {re.sub(r"[^a-z ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(#(.*?)\)", PAGE)
    assert links
    assert set(links) <= anchors


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo is built already, as on the page, of fewer classes."""
    folder = tmp_path_factory.mktemp("clusters")
    write_demo_tree(folder / "demo/ILSVRC", wnids=DEMO_WNIDS[:2])
    (folder / "demo/demo5.txt").write_text("\n".join(DEMO_WNIDS[:2]) + "\n")
    run(f"imagenet-subset --subset_name {DEMO} --device cpu --out_dir demo/out_files", folder)
    return folder


def run(script: str, folder: Path) -> str:
    """Run lines of the page, by this Python and on the CPU; what they print."""
    script = script.replace("--executor", "--device cpu --executor")
    for name, module in (("imagenet-subset", "imagenet_subset"), ("dask", "dask")):
        script = re.sub(
            rf"(?<![\w/-]){name} (?=--|scheduler|worker)", f"{PYTHON} -m {module} ", script
        )
    env = {**os.environ, **AS_ROOT, "PYTHONPATH": str(ROOT), "SLURM_JOB_ID": "1"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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
    run(f"{PYTHON} -Wignore pool.py", folder)
    assert is_the_same(folder, "on_pool")
