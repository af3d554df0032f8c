"""Looking for a GPU touches nothing of the caller's, and is told in a line whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="DALI is for Linux only")


def python(script: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONWARNINGS": "error", **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ANSWER = "from pipelines.cuda import find_driver\nprint(find_driver())"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program to be started instead of Python, which each test writes."""
    path = tmp_path / "python"
    path.touch(mode=0o755)
    return path


def answer(program: Path, shell: str) -> str:
    """What is said of a driver whose program runs this shell script."""
    program.write_text(f"#!/bin/sh\n{shell}\n")
    return python(f"import sys; sys.executable = {str(program)!r}\n{ANSWER}")


@linux
def test_the_driver_is_asked_by_a_child_alone() -> None:
    script = """
        import ctypes, sys
        opened = []
        ctypes.CDLL = lambda *names, **options: opened.append(names)
        from pipelines.cuda import find_driver
        find_driver()
        print(opened, "libcuda" in open("/proc/self/maps").read())
    """
    assert python(script) == "[] False"


@linux
def test_without_the_packages_no_driver_is_asked() -> None:
    script = """
        import importlib.util, subprocess
        found = importlib.util.find_spec
        importlib.util.find_spec = lambda name: None if name == "cupy" else found(name)
        subprocess.run = None
        from pipelines.cuda import find_gpu
        from pipelines.kinds import KINDS
        print(find_gpu(KINDS["dali", "gpu"], 0).everything)
    """
    assert "CuPy not installed; pip install " in python(script)


@linux
def test_a_driver_is_asked_once_for_each_process(program: Path) -> None:
    program.write_text('#!/bin/sh\necho x >> $0.calls\necho \'[12080, ["H100", "T4"]]\'\n')
    out = python(f"import sys; sys.executable = {str(program)!r}\n{ANSWER}\nfind_driver()")
    assert out == "Driver(cuda=(12, 8), gpus=('H100', 'T4'))"
    assert Path(f"{program}.calls").read_text() == "x\n"


@linux
@pytest.mark.parametrize(
    ("shell", "said"),
    [
        ("kill -SEGV $$", "the program that asks the CUDA driver was killed by SIGSEGV"),
        ("echo no such thing >&2; exit 3",
         "the program that asks the CUDA driver ended with 3: no such thing"),
        ("exit 0", "the program that asks the CUDA driver ended with 0: no word"),
        ("echo of the driver itself; echo '\"no CUDA GPU found\"'", "no CUDA GPU found"),
    ],
)  # fmt: skip
def test_a_driver_that_fails_is_told_in_a_line(program: Path, shell: str, said: str) -> None:
    assert answer(program, shell) == said


@linux
def test_a_driver_that_hangs_is_told_in_a_line(program: Path) -> None:
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    script = f"import sys, pipelines.cuda as c; c.PATIENCE = 1; sys.executable = {str(program)!r}"
    assert python(f"{script}\n{ANSWER}") == "the CUDA driver didn't answer within 1 s"


@pytest.mark.parametrize("program", ["", "/no/such/python"])
def test_a_python_that_cannot_start_itself_is_told_in_a_line(program: str) -> None:
    out = python(f"import sys; sys.executable = {program!r}\n{ANSWER}")
    assert out.startswith("the CUDA driver can't be asked: ")


@linux
def test_a_machine_without_a_driver_is_told_so() -> None:
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("there is a driver here")
    assert python(ANSWER) == "no CUDA driver found (libcuda.so.1)"


@linux
@pytest.mark.parametrize(
    ("gpu", "said"),
    [
        (1, "dali gpu 256 3 1 1: gpu (dali): T4, driver for CUDA 12.8"),
        (2, "--gpu 2: the GPUs here are 0 to 1"),
    ],
)
def test_with_packages_and_a_driver_the_gpu_is_taken_unasked(
    program: Path, gpu: int, said: str
) -> None:
    program.write_text('#!/bin/sh\necho \'[12080, ["H100", "T4"]]\'\n')
    script = f"""
        import importlib.util, sys
        from pipelines.base import PipelineUnavailableError
        from pipelines.choice import PipelineRequest, resolve
        importlib.util.find_spec = lambda name: name
        sys.executable = {str(program)!r}
        try:
            c = resolve(PipelineRequest(gpu={gpu}), 3)
        except PipelineUnavailableError as error:
            print(error)
        else:
            print(c.name, c.device, c.batch_size, c.threads, c.processes, f"{{c.gpu}}: {{c.why}}")
    """
    assert python(script) == said
