"""Where people run it: odd folders, scripts, limits and parents; and what must stay as it was."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from PIL import Image

from tests.harness.builds import two_classes
from tests.harness.planned import planned
from tests.harness.processes import NURSERY
from tests.harness.tiers import first_quick, thorough

pytestmark = pytest.mark.processes
PROGRAM = Path(sys.executable).with_name("imagenet-subset")
ODD_PLACE = "runs in an odd place, or under odd limits"
FLAGS = ["--device", "cpu", "--pipeline", "pillow", "--workers", "2", "--splits", "train"]
NONE = MappingProxyType[str, str]({})


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, more than two shards; not to be written to."""
    root = tmp_path_factory.mktemp("photos") / "ILSVRC"
    return two_classes(root, 70)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The current folder of what is run."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def run(
    command: list[object], here: Path, env: Mapping[str, str] = NONE, **options: Any
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=here,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def arguments(photos: Path, here: Path) -> list[object]:
    return ["--subset_name", photos / "two.txt", "--data_dir", photos, "--out_dir", here / "out",
            *FLAGS]  # fmt: skip


def sha256(here: Path) -> str:
    return hashlib.sha256((here / "out/two_cls.npz").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def expected(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    here = tmp_path_factory.mktemp("whole")
    assert run([PROGRAM, *arguments(photos, here)], here).returncode == 0
    return sha256(here)


def assert_built(done: subprocess.CompletedProcess[str], here: Path, expected: str) -> None:
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    assert sha256(here) == expected


def script(photos: Path, here: Path, before: str = "", after: str = "") -> str:
    """A program that builds as soon as it is run, with no guard around it."""
    return textwrap.dedent("""\
        from imagenet_subset import build
        print("begins", flush=True)
        {before}
        build({subset!r}, {data!r}, {out!r}, splits=["train"], device="cpu", pipeline="pillow",
              workers=2)
        {after}
    """).format(
        subset=str(photos / "two.txt"),
        data=str(photos),
        out=str(here / "out"),
        before=before,
        after=after,
    )


# The folder in which it is run


MODULES = ("json", "random", "select", "socket", "struct", "signal", "pickle", "numpy", "logging")


def test_modules_in_the_current_folder_are_nobody_s_business(photos, here, expected) -> None:
    for name in MODULES:
        (here / f"{name}.py").write_text("open('ran', 'w'); raise SystemExit('a stranger ran')")
    for package in ("pipelines", "imagenet_subset", "PIL"):
        (here / package).mkdir()
        (here / package / "__init__.py").write_text("open('ran', 'w')")
    assert_built(run([PROGRAM, *arguments(photos, here)], here), here, expected)
    assert not (here / "ran").exists()


def test_a_current_folder_that_is_gone_is_told_in_one_line(photos, here) -> None:
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    done = run(["sh", "-c", script, "sh", PROGRAM, *arguments(photos, here)], here)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "the current folder: No such file or directory" in done.stderr


@pytest.mark.parametrize("variant", first_quick(["missing", "deep"], ODD_PLACE))
def test_the_folder_for_temporary_files_may_have_any_name(photos, here, expected, variant) -> None:
    temporary = here / ("t" * 120)
    if variant == "deep":
        temporary.mkdir()
    env = {"TMPDIR": str(temporary)}
    assert_built(run([PROGRAM, *arguments(photos, here)], here, env), here, expected)
    if variant == "deep":
        assert not list(temporary.iterdir())


@pytest.mark.parametrize("closed", first_quick(["<&- >&- 2>&-", "<&-", ">&-", "2>&-"], ODD_PLACE))
def test_streams_may_be_closed(photos, here, expected, closed) -> None:
    done = run(["sh", "-c", f'"$@" {closed}', "sh", PROGRAM, *arguments(photos, here)], here)
    assert_built(done, here, expected)


@thorough(ODD_PLACE)
@pytest.mark.parametrize("closed", first_quick(["<&- >&- 2>&-", "<&-", ">&-", "2>&-"], ODD_PLACE))
def test_a_program_that_calls_it_may_have_closed_its_streams(
    photos, here, expected, closed
) -> None:
    (here / "program.py").write_text(
        script(photos, here).replace('print("begins", flush=True)', "")
    )
    done = run(["sh", "-c", f"{sys.executable} program.py {closed}"], here)
    assert_built(done, here, expected)


# Programs that call it


def test_a_script_needs_no_guard_around_a_build_and_runs_once(photos, here, expected) -> None:
    (here / "program.py").write_text(script(photos, here))
    done = run([sys.executable, "program.py"], here)
    assert_built(done, here, expected)
    assert done.stdout == "begins\n"


@thorough(ODD_PLACE)
def test_a_script_may_come_on_standard_input(photos, here, expected) -> None:
    done = run([sys.executable, "-"], here, input=script(photos, here))
    assert_built(done, here, expected)
    assert done.stdout == "begins\n"


IN_A_DAEMON = """\
import multiprocessing, sys
from imagenet_subset import build

def work():
    build({subset!r}, {data!r}, {out!r}, splits=["train"], device="cpu", pipeline="pillow")

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    process = context.Process(target=work, daemon=True)
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""


@pytest.mark.parametrize("method", first_quick(["fork", "spawn"], ODD_PLACE))
def test_a_daemonic_process_may_build(photos, here, expected, method) -> None:
    names = {"subset": str(photos / "two.txt"), "data": str(photos), "out": str(here / "out")}
    (here / "program.py").write_text(IN_A_DAEMON.format(method=method, **names))
    assert_built(run([sys.executable, "program.py"], here), here, expected)


CHILDREN = """\
import multiprocessing, subprocess, sys, time
from imagenet_subset import build

if __name__ == "__main__":
    children = [multiprocessing.get_context(method).Process(target=time.sleep, args=[1000])
                for method in ("fork", "forkserver")]
    for child in children:
        child.start()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    build({subset!r}, {data!r}, {out!r}, splits=["train"], device="cpu", pipeline="pillow")
    dead = [child for child in children if not child.is_alive()]
    code = other.poll()
    for child in [*children, other]:
        child.kill()
    assert (dead, code) == ([], None)
"""


@thorough(ODD_PLACE)
def test_children_of_the_caller_live_on(photos, here, expected) -> None:
    names = {"subset": str(photos / "two.txt"), "data": str(photos), "out": str(here / "out")}
    (here / "program.py").write_text(CHILDREN.format(**names))
    assert_built(run([sys.executable, "program.py"], here), here, expected)


@thorough(ODD_PLACE)
def test_a_build_that_is_interrupted_spares_the_caller_s_children(photos, here, expected) -> None:
    code = script(photos, here).replace("workers=2)", "workers=2, progress=interrupt)")
    before = (
        "import multiprocessing, os, signal, time\n"
        "from imagenet_subset.execution.local import STOP_SECONDS\n"
        "child = multiprocessing.get_context('fork').Process(target=time.sleep, args=[100])\n"
        "child.start()\n"
        "def interrupt(_shard): raise KeyboardInterrupt\n"
        "try:\n    "
    )
    after = (
        "\nexcept KeyboardInterrupt:\n"
        "    time.sleep(STOP_SECONDS + 0.5)\n"
        "    assert child.is_alive()\n"
        "    child.kill()\n"
    )
    call = code[code.index("build('") :]
    (here / "program.py").write_text(code.replace(call, before + call.strip() + after))
    done = run([sys.executable, "program.py"], here)
    assert (done.returncode, done.stderr) == (0, "")


def test_planning_starts_no_process(photos, here) -> None:
    code = (
        "import os\n"
        "from imagenet_subset.building.options import BuildOptions\n"
        "from imagenet_subset.building.plan import plan_build\n"
        f"options = {str(photos / 'two.txt')!r}, {str(photos)!r}, {str(here)!r}\n"
        "plan_build(BuildOptions(*options, device='cpu'))\n"
        "try:\n    os.waitpid(-1, os.WNOHANG)\n"
        "except ChildProcessError:\n    print('no child')\n"
    )
    done = run([sys.executable, "-c", code], here)
    assert (done.stdout, done.stderr) == ("no child\n", "")


def test_a_build_leaves_the_caller_s_settings_alone(photos, here, expected) -> None:
    before = (
        "import os, signal, sys, warnings\n"
        "def settings(): return (warnings.filters[:], signal.getsignal(signal.SIGINT), os.umask(2),"
        " signal.getsignal(signal.SIGTERM), sys.path[:], dict(os.environ), os.getcwd())\n"
        "settings(); before = settings()\n"
    )
    after = "assert settings() == before\n"
    (here / "program.py").write_text(script(photos, here, before, after))
    assert_built(run([sys.executable, "program.py"], here), here, expected)


# Workers that can't start


def assert_one_line(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("imagenet-subset: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "memory" not in lines[0], "there is no evidence of it"
    for part in parts:
        assert part in lines[0]


@pytest.mark.parametrize("files", first_quick([16, 24], ODD_PLACE))
def test_too_few_descriptors_are_told_as_such(photos, here, files) -> None:
    limited = ["prlimit", f"--nofile={files}", PROGRAM, *arguments(photos, here)]
    done = run([*limited, "--workers", "40"], here)
    assert_one_line(done, "Too many open files")


@thorough(ODD_PLACE)
def test_too_small_an_address_space_is_told_as_what_it_is(photos, here) -> None:
    told = []
    for limit in range(100_000, 1_000_000, 10_000):  # from too little to enough
        limited = f'ulimit -v {limit} && exec "$@"'
        command = ["bash", "-c", limited, "bash", PROGRAM, *arguments(photos, here)]
        done = run(command, here, {"OPENBLAS_NUM_THREADS": "1"})
        if done.returncode == 0:
            break
        if "imagenet-subset: " in done.stderr:
            told.append(done.stderr.splitlines()[-1])
    assert told
    assert not [line for line in told if not line.startswith("imagenet-subset: ")]
    assert not [line for line in told if "defect" in line]


BROKEN = f"""
import os, sys
if {NURSERY!r} in " ".join(sys.orig_argv):
    os.write(2, b"python: libsomething.so.1: cannot open shared object file\\n")
    os._exit(127)
"""


def test_what_keeps_workers_from_starting_is_told(photos, here) -> None:
    (here / "sitecustomize.py").write_text(BROKEN)
    done = run([PROGRAM, *arguments(photos, here)], here, {"PYTHONPATH": str(here)})
    assert_one_line(done, "worker processes can't start: python: libsomething.so.1: cannot open")


def test_without_fork_each_worker_is_an_interpreter_of_its_own(photos, here, expected) -> None:
    (here / "sitecustomize.py").write_text("import os\ndel os.fork\n")
    done = run([PROGRAM, *arguments(photos, here)], here, {"PYTHONPATH": str(here)})
    assert_built(done, here, expected)


@thorough(ODD_PLACE)
def test_without_fork_too_what_keeps_workers_from_starting_is_told(photos, here) -> None:
    broken = BROKEN.replace(NURSERY, "import run_worker")
    (here / "sitecustomize.py").write_text(f"import os\ndel os.fork\n{broken}")
    done = run([PROGRAM, *arguments(photos, here)], here, {"PYTHONPATH": str(here)})
    assert_one_line(done, "worker processes can't start: python: libsomething.so.1: cannot open")


def test_an_error_in_a_worker_comes_back_with_its_traceback(photos, here) -> None:
    (here / "sitecustomize.py").write_text(
        "import sys\n"
        f"if {NURSERY!r} in ' '.join(sys.orig_argv):\n"
        "    from PIL import Image\n"
        "    def broken(*_args, **_kwargs): raise NotImplementedError('a surprise')\n"
        "    Image.open = broken\n"
    )
    env = {"PYTHONPATH": str(here)}
    done = run([PROGRAM, *arguments(photos, here)], here, env)
    assert_one_line(done, "unexpected NotImplementedError: a surprise")
    done = run([PROGRAM, *arguments(photos, here), "--debug"], here, env)
    assert ", in broken\n" in done.stderr


def test_a_want_of_memory_is_told_with_the_photo(photos, here) -> None:
    (here / "sitecustomize.py").write_text(
        "import sys\n"
        f"if {NURSERY!r} in ' '.join(sys.orig_argv):\n"
        "    from PIL import Image\n"
        "    def large(*_args, **_kwargs): raise MemoryError\n"
        "    Image.open = large\n"
    )
    done = run([PROGRAM, *arguments(photos, here)], here, {"PYTHONPATH": str(here)})
    assert done.returncode == 1
    assert re.fullmatch(
        rf"imagenet-subset: out of memory while a worker had {photos}/train/\S+ in hand; try fewer "
        "--workers; what is done is kept: .*",
        done.stderr.splitlines()[-1],
    )


@pytest.fixture
def small_memory() -> Iterator[list[str]]:
    """Words before a command that run it in a control group with 200 MiB of memory."""
    group = Path("/sys/fs/cgroup/memory", f"test-{os.getpid()}")
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(200 << 20))
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    group.rmdir()


@thorough(ODD_PLACE)
def test_a_worker_that_the_kernel_kills_for_want_of_memory_is_told_as_such(
    here, small_memory
) -> None:
    data = two_classes(here / "ILSVRC", 2, odd=False)
    large = sorted(data.glob("train/*/*.JPEG"))[-1]
    Image.new("RGB", (9000, 9000)).save(large)
    done = run([*small_memory, PROGRAM, *arguments(data, here)], here)
    assert done.returncode == 1
    assert re.fullmatch(
        rf"imagenet-subset: a worker process was killed \(SIGKILL\) while it had {large} in "
        "hand; the kernel did it when memory ran out: try fewer --workers; what is done .*",
        done.stderr.splitlines()[-1],
    ), done.stderr


@thorough(ODD_PLACE)
def test_a_worker_that_is_killed_for_want_of_memory_as_it_starts_is_told_as_such(
    photos, here, small_memory
) -> None:
    (here / "sitecustomize.py").write_text(
        "import sys\n"
        f"if {NURSERY!r} in ' '.join(sys.orig_argv):\n"
        "    taken = bytearray(400 << 20)\n"
        "    taken[::4096] = b'1' * len(taken[::4096])\n"
    )
    command = [*small_memory, PROGRAM, *arguments(photos, here)]
    done = run(command, here, {"PYTHONPATH": str(here)})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "imagenet-subset: worker processes can't start: one was killed (SIGKILL); the kernel "
        "did it when memory ran out: try fewer --workers"
    )


@thorough(ODD_PLACE)
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="drops root's rights")
def test_the_first_photo_is_as_good_as_any_when_it_can_t_be_read(here) -> None:
    data = two_classes(here / "ILSVRC", 5, odd=False)
    subset = planned(data / "two.txt", data, here, splits=["train"], device="cpu")
    first = Path(subset.store.describe(subset.records["train"][0].location))
    first.chmod(0)
    lacking = "-dac_override,-dac_read_search"
    command = ["setpriv", "--bounding-set", lacking, "--inh-caps", lacking, PROGRAM]
    done = run([*command, *arguments(data, here)], here)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"imagenet-subset: 1 image can't be read, the first {first} (Permission denied); "
    )


@thorough(ODD_PLACE)
def test_what_workers_print_is_passed_on_but_for_libjpeg_s_lines(photos, here, expected) -> None:
    (here / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"if {NURSERY!r} in ' '.join(sys.orig_argv):\n"
        "    os.write(2, b'Corrupt JPEG data: 3 extraneous bytes before marker 0xd9\\n')\n"
        "    os.write(2, b'a library has something to say\\n')\n"
    )
    done = run([PROGRAM, *arguments(photos, here)], here, {"PYTHONPATH": str(here)})
    assert_built(done, here, expected)
    assert "a worker process says: a library has something to say\n" in done.stderr
    assert "Corrupt" not in done.stderr
