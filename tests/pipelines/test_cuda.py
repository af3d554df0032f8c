"""Looking for a GPU touches nothing of the caller's, and is told in a line whatever happens."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pipelines import packages
from pipelines.driver import Gpu
from pipelines.kinds import KINDS
from tests.harness.gpus import (
    EXCLUSIVE,
    H100,
    MIG,
    OUT_OF_MEMORY,
    PACKAGES,
    PROHIBITED,
    T4,
    UNAVAILABLE,
    V100,
    Card,
    driver_program,
    with_mode,
)

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


ANSWER = "from pipelines.driver import find_driver\nprint(find_driver())"


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
        from pipelines.driver import find_driver
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
    driver_program(program, [H100, T4], 12080)
    out = python(
        f"import sys; sys.executable = {str(program)!r}\nfrom pipelines.driver import find_driver\n"
        "print(find_driver().cuda, *find_driver().gpus, sep='; ')"
    )
    assert out == "(12, 8); GPU 0 (NVIDIA H100 80GB HBM3); GPU 1 (Tesla T4)"
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
    script = f"import sys, pipelines.driver as c; c.PATIENCE = 1; sys.executable = {str(program)!r}"
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


RESOLVE = """
from pipelines.base import PipelineUnavailableError
from pipelines.choice import resolve
from pipelines.request import PipelineRequest
try:
    c = resolve(PipelineRequest({request}), {cores})
except (PipelineUnavailableError, ValueError) as error:
    print(error)
else:
    print(c.device, c.batch_size, c.threads, c.processes, c.shard_size, f"{{c.gpu}}: {{c.why}}")
"""


def resolved(program: Path, cards: list[Card], request: str, cores: int = 3, cuda: int = 13000,
             before: str = "") -> str:  # fmt: skip
    """What a machine with these GPUs makes of a request."""
    driver_program(program, cards, cuda)
    code = RESOLVE.format(request=request, cores=cores)
    return python(f"{PACKAGES}{before}\nsys.executable = {str(program)!r}\n{code}")


@linux
@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("gpu=1", "gpu 256 3 1 2048 1: gpu (dali): Tesla T4, driver for CUDA 12.8"),
        ("", "gpu 256 3 1 2048 0: gpu (dali): NVIDIA H100 80GB HBM3, driver for CUDA 12.8"),
        ("gpu=2", "--gpu 2: the GPUs here are 0 to 1"),
        ("gpu=[1, 7]", "--gpu 7: the GPUs here are 0 to 1"),
        ("gpu='all'", "gpu 256 1 2 2048 0: gpu (dali): 2 x NVIDIA H100 80GB HBM3 and Tesla T4, "
                      "driver for CUDA 12.8"),
    ],
)  # fmt: skip
def test_with_packages_and_a_driver_the_gpu_is_taken_unasked(
    program: Path, request_: str, said: str
) -> None:
    assert resolved(program, [H100, T4], request_, cuda=12080) == said


@linux
@pytest.mark.parametrize(
    ("cards", "request_", "cores", "threads_processes_shard"),
    [
        ([H100], "", 7, "7 1 2048"),
        ([H100], "", 8, "4 2 1024"),
        ([H100], "", 64, "16 2 1024"),
        ([H100], "dali_processes=4", 16, "4 4 1024"),
        ([H100], "dali_processes=1", 64, "16 1 2048"),
        ([H100], "dali_processes=8", 2, "1 8 1024"),
        ([H100] * 4, "gpu='all'", 31, "7 4 2048"),
        ([H100] * 4, "gpu='all'", 32, "4 8 1024"),
        ([H100] * 4, "gpu=(3, 1), dali_processes=3", 32, "5 6 1024"),
        ([with_mode(H100, EXCLUSIVE)], "", 64, "16 1 2048"),
        ([with_mode(H100, EXCLUSIVE)], "dali_processes=2", 64, "16 2 1024"),
    ],
)
def test_processes_and_threads_for_cards_and_cores(
    program: Path, cards: list[Card], request_: str, cores: int, threads_processes_shard: str
) -> None:
    words = resolved(program, cards, request_, cores).split()
    assert " ".join(words[2:5]) == threads_processes_shard


@linux
@pytest.mark.parametrize(
    ("card", "why"),
    [
        (with_mode(T4, EXCLUSIVE, UNAVAILABLE),
         "GPU 0 (Tesla T4) is in exclusive mode, and another process has it"),
        (with_mode(T4, PROHIBITED, UNAVAILABLE),
         "GPU 0 (Tesla T4) is in prohibited mode and takes no work: nvidia-smi -c DEFAULT"),
        (with_mode(T4, 0, OUT_OF_MEMORY), "GPU 0 (Tesla T4) has no memory left"),
        (with_mode(T4, 0, 999), "GPU 0 (Tesla T4) takes no work (CUDA error 999)"),
        (("Tesla K80", "", 3, 7, 0, 0),
         "GPU 0 (Tesla K80) has compute capability 3.7, and DALI begins at 5.0"),
    ],
)  # fmt: skip
def test_a_card_that_refuses_leaves_the_work_to_the_cpu_unless_it_was_named(
    program: Path, card: Card, why: str
) -> None:
    unasked = resolved(program, [card], "")
    assert unasked.startswith("cpu ")
    assert f": {why}" in unasked
    end = f"{why}; --device cpu works without"
    assert resolved(program, [card], "'gpu'") == f"--device gpu: {end}"
    assert resolved(program, [card, T4], "gpu='all'") == f"--gpu all: {end}"
    assert resolved(program, [T4, T4, card], "gpu=(2, 0)").startswith("--gpu 2,0: GPU 2 (")


@linux
def test_packages_for_cuda_13_are_refused_for_older_cards_and_drivers(program: Path) -> None:
    before = "import pipelines.cuda as c; c.cuda_of_packages = lambda: 13"
    swap = (
        "pip uninstall -y nvidia-dali-cuda130 cupy-cuda13x && pip install "
        '"nvidia-dali-cuda120>=2.2" "cupy-cuda12x>=13" "isal>=1.7"; --device cpu works without'
    )
    assert resolved(program, [H100, V100], "'gpu', gpu='all'", before=before) == (
        "--device gpu: DALI for CUDA 13 is installed, and GPU 1 (Tesla V100-SXM2-16GB) has compute "
        f"capability 7.0, which CUDA 13 no longer knows: {swap}"
    )
    assert resolved(program, [H100], "'gpu'", cuda=12080, before=before) == (
        "--device gpu: DALI for CUDA 13 is installed, and the driver is for CUDA 12.8: " + swap
    )
    assert resolved(program, [H100, V100], "'gpu'", before=before).startswith("gpu ")


@linux
@pytest.mark.parametrize(
    ("cards", "cuda", "here", "installs"),
    [
        ([H100], 13000, 13, "cuda130"),
        ([H100], 13000, 12, "cuda120"),
        ([H100], 12080, 13, "cuda120"),
        ([V100], 13000, 13, "cuda120"),
        ([H100, V100], 13000, 13, "cuda130"),
    ],
)
def test_the_install_line_is_for_the_card(
    program: Path, tmp_path: Path, cards: list[Card], cuda: int, here: int, installs: str
) -> None:
    driver_program(program, cards, cuda)
    script = f"""
        import importlib.util, sys
        from pathlib import Path
        found = importlib.util.find_spec
        importlib.util.find_spec = lambda name: None if name == "cupy" else found(name)
        sys.executable = {str(program)!r}
        import pipelines.cuda, pipelines.kinds
        pipelines.kinds.cuda_of_packages = lambda: {here}
        pipelines.cuda.NVIDIA_MODULE = Path({str(tmp_path)!r})
        print(pipelines.cuda.find_gpu(pipelines.kinds.KINDS["dali", "gpu"]).everything)
    """
    assert f'pip install "nvidia-dali-{installs}>=' in python(script)


@pytest.mark.parametrize(
    ("machine", "board", "said"),
    [
        ("aarch64", "", 'pip install "nvidia-dali-cuda120>=2.2"'),
        ("x86_64", "", 'pip install "nvidia-dali-cuda120>=2.2"'),
        ("aarch64", "NVIDIA Jetson AGX Orin Developer Kit",
         "NVIDIA makes no DALI packages for NVIDIA Jetson AGX Orin Developer Kit boards: build it "
         "from source"),
        ("aarch64", "NVIDIA Jetson AGX Thor Developer Kit",
         'pip install "nvidia-dali-cuda120>=2.2"'),
        ("riscv64", "",
         "NVIDIA makes no DALI packages for riscv64 processors: build it from source"),
    ],
)  # fmt: skip
def test_machines_for_which_there_are_no_wheels_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, machine: str, board: str, said: str
) -> None:
    model = tmp_path / "model"
    model.write_text(f"{board}\0")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(packages, "_BOARD", model)
    monkeypatch.setattr(packages, "_TEGRA", tmp_path / "none")
    assert KINDS["dali", "cpu"].install_line(12) == said
    if "Thor" in board:
        assert "cuda130" in KINDS["dali", "gpu"].install_line()


def test_a_process_sees_its_card_by_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert Gpu(1, *T4[:2]).visible == "GPU-fedcba98-7654-3210-fedc-ba9876543210"
    assert Gpu(0, *MIG[:2]).visible == "MIG-ffeeddcc-bbaa-9988-7766-554433221100"
    assert Gpu(1, "no id").visible == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, 7")
    assert [Gpu(k, "no id").visible for k in range(3)] == ["5", "7", "2"]


@linux
def test_the_answer_of_the_real_driver_program_is_read(tmp_path: Path) -> None:
    """The program that asks runs against a library that answers as the driver would."""
    library = tmp_path / "libcuda.so.1"
    source = tmp_path / "driver.c"
    source.write_text(STUB_DRIVER)
    if not (compiler := shutil.which("cc") or shutil.which("gcc")):
        pytest.skip("no C compiler here")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    out = python(
        "from pipelines.driver import find_driver\nprint(find_driver((1,)))",
        LD_LIBRARY_PATH=str(tmp_path),
    )
    zeros = "00" * 15
    assert out == (
        "Driver(cuda=(12, 8), gpus=("
        f"Gpu(index=0, name='card 0', uuid='{zeros}00', capability=(8, 0), mode=3, status=0), "
        f"Gpu(index=1, name='card 1', uuid='{zeros}01', capability=(8, 1), mode=3, status=46)))"
    )


STUB_DRIVER = r"""
#include <stdio.h>
#include <string.h>
int cuInit(unsigned flags) { return 0; }
int cuDriverGetVersion(int *version) { *version = 12080; return 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
    snprintf(name, length, "card %d", device); return 0;
}
int cuDeviceGetUuid_v2(char *uuid, int device) {
    memset(uuid, 0, 16); uuid[15] = device; return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? device : attribute == 20 ? 3 : -1; return 0;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { return device ? 46 : 2; }
int cuDevicePrimaryCtxRelease_v2(int device) { return 0; }
"""


BY = "rule=PixelRule(72, 64, {!r})"
HAS_NONE = "DALI has no box filter"
CPU_HAS = "without --device, --gpu and --pipeline the CPU scales by it"


@linux
@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("'gpu', " + BY.format("box"), f"--device gpu: {HAS_NONE}; {CPU_HAS}"),
        ("gpu=0, " + BY.format("box"), f"--gpu 0: {HAS_NONE}; {CPU_HAS}"),
        ("'gpu', 'dali', " + BY.format("box"), f"--device gpu: {HAS_NONE}; {CPU_HAS}"),
        ("'auto', 'dali', " + BY.format("box"), f"--pipeline dali: {HAS_NONE}; leave out "),
        ("'cpu', 'dali', " + BY.format("nearest"), "--pipeline dali: DALI has no nearest filter"),
    ],
)
def test_a_filter_that_was_asked_for_and_dali_has_not_is_an_error(
    program: Path, request_: str, said: str
) -> None:
    before = "from pipelines.rule import PixelRule"
    for cuda in (13000, 11040):
        assert resolved(program, [H100], request_, before=before, cuda=cuda).startswith(said)


@linux
def test_auto_takes_what_has_the_filter_and_says_why(program: Path) -> None:
    before = "from pipelines.rule import PixelRule"
    auto = resolved(program, [H100], BY.format("box"), before=before)
    assert auto.startswith("cpu ")
    assert f"): {HAS_NONE}" in auto
    for interpolation in ("bilinear", "bicubic", "lanczos"):
        taken = resolved(program, [H100], BY.format(interpolation), before=before)
        assert taken.startswith("gpu ")
    too_old = resolved(program, [H100], BY.format("box"), before=before, cuda=11040)
    assert too_old.startswith("cpu ")
    assert HAS_NONE not in too_old
