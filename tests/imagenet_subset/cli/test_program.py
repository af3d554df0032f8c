"""The command line as its user meets it: flags, messages, exit codes."""

from __future__ import annotations

import importlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imagenet_subset.building.run import BuildResult
from imagenet_subset.building.shown import come_through
from imagenet_subset.building.tasks import ShardResult
from imagenet_subset.cli.main import main
from imagenet_subset.cli.report import work_done
from imagenet_subset.cli.usage import COMMANDS
from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from imagenet_subset.version import __version__
from tests.harness.executors import hook
from tests.harness.processes import members, wait_for
from tests.harness.tiers import thorough

ROOT = Path(__file__).parents[3]
CPU = ("--device", "cpu", "--pipeline", "pillow")


def build(cli, tree, subset, *more, **options):
    return cli("--subset_name", subset, "--data_dir", tree, "--workers", 2, *CPU, *more, **options)


def one_line(done, code: int = 1) -> str:
    """Message of a command that ended in a line, as each wrong input has to."""
    assert done.returncode == code, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("imagenet-subset: ")
    return lines[0]


def test_a_build_prints_what_it_made(cli, tree, subset_file, tmp_path) -> None:
    done = build(cli, tree, subset_file)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("out_files/five_cls.npz  ")
    assert "images/s" in done.stdout
    assert done.stderr.startswith("cpu (pillow): as asked")
    assert "\r" not in done.stderr
    with np.load(tmp_path / "out_files/five_cls.npz") as npz:
        assert len(npz["X_train"]) == 100
    again = build(cli, tree, subset_file)
    assert again.returncode == 0
    assert "already complete" in again.stdout


def test_hyphens_do_for_underscores_in_flags(cli, tree, subset_file, tmp_path) -> None:
    done = cli("build", f"--subset-name={subset_file}", "--data-dir", tree, *CPU,
               "--out-dir=a-b", "--quiet", "--splits=val")  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "a-b/five_cls.npz").exists()


def test_main_py_does_the_same_from_a_clone(tree, subset_file, tmp_path) -> None:
    command = [sys.executable, ROOT / "main.py", "--subset_name", subset_file, "--data_dir", tree]
    done = subprocess.run([*command, *CPU], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out_files/five_cls.npz").exists()


def test_a_dry_run_prints_the_plan_and_writes_nothing(cli, tree, subset_file, tmp_path) -> None:
    done = build(cli, tree, subset_file, "--dry_run")
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    assert ["0", "n12267677", "acorn", "20", "50"] in words
    assert ["together", "100", "250"] in words
    assert "are free" in done.stdout
    assert "cpu (pillow)" in done.stdout
    assert not list(tmp_path.glob("out_files*"))


@pytest.mark.parametrize("below", [".", "..", "../.."])
def test_the_root_data_and_cls_loc_all_work(cli, tree, subset_file, below) -> None:
    done = build(cli, (tree / below).resolve(), subset_file, "--dry_run")
    assert done.returncode == 0, done.stderr


# Wrong inputs


@pytest.fixture
def own_tree(tmp_path: Path) -> Path:
    return write_demo_tree(tmp_path / "ILSVRC", wnids=DEMO_WNIDS[::2], train_per_class=3, odd=False)


def test_an_unknown_wnid_names_the_line_and_the_nearest(cli, tree, tmp_path) -> None:
    (tmp_path / "bad.txt").write_text("# nuts\nn12267677\nn12267678\n")
    message = one_line(build(cli, tree, "bad.txt"))
    assert "bad.txt:3: n12267678 is not a WNID of ILSVRC 2012; the nearest are n12267677" in message


def test_a_missing_class_folder_is_counted_and_named(cli, own_tree, subset_file) -> None:
    shutil.rmtree(own_tree / "train/n12267677")
    message = one_line(build(cli, own_tree, subset_file))
    assert "has no train photo of n12267677 (acorn): train/n12267677/ doesn't exist" in message
    assert message.endswith("put the photos there, or take n12267677 out of the subset file")
    assert message == one_line(build(cli, own_tree, subset_file, "--missing", "skip"))


def test_missing_photos_of_both_splits_are_counted_together(cli, own_tree, subset_file) -> None:
    next((own_tree / "train/n12267677").iterdir()).unlink()
    for photo in sorted((own_tree / "val").iterdir())[:2]:
        photo.unlink()
    message = one_line(build(cli, own_tree, subset_file))
    assert "1 train photo and 2 val photos (" in message
    assert message.endswith("put them there, or build without them by --missing skip")


def test_photos_one_folder_deeper_are_no_empty_file(cli, own_tree, subset_file, tmp_path) -> None:
    for folder in [*(own_tree / "train").iterdir(), own_tree / "val"]:
        folder.rename(own_tree / "images")
        folder.mkdir()
        (own_tree / "images").rename(folder / "images")
    message = one_line(build(cli, own_tree, subset_file, "--missing", "skip"))
    assert "has no train photo of any class of the subset: train/n12267677/ has 3 photos one" in (
        message
    )
    message = one_line(build(cli, own_tree, subset_file, "--missing", "skip", "--splits", "val"))
    assert "val/ has 250 photos one folder deeper, in images/, as ILSVRC2012_val_" in message
    assert not list(tmp_path.glob("out_files*"))


def test_missing_photos_can_be_skipped(cli, own_tree, subset_file, tmp_path) -> None:
    next((own_tree / "train/n12267677").iterdir()).unlink()
    next((own_tree / "val").iterdir()).unlink()
    done = build(cli, own_tree, subset_file, "--missing", "skip")
    assert done.returncode == 0, done.stderr
    assert "1 train photo and 1 val photo (" in done.stderr
    assert "left out: 2 images missing from the source" in done.stdout
    with np.load(tmp_path / "out_files/five_cls.npz") as npz:
        assert len(npz["X_train"]) == 14
        assert len(npz["X_val"]) == 249


def test_a_data_dir_that_is_a_file_is_refused(cli, subset_file, tmp_path) -> None:
    (tmp_path / "file").write_text("no photo")
    assert "is a file, and no archive of a kind that is read" in one_line(
        build(cli, "file", subset_file)
    )
    (tmp_path / "file").write_text("")
    assert "file is empty; get it anew" in one_line(build(cli, "file", subset_file))


def test_a_data_dir_that_is_not_there_is_refused(cli, subset_file) -> None:
    assert "doesn't exist" in one_line(build(cli, "nowhere", subset_file))


def test_an_out_dir_that_is_a_file_is_refused(cli, tree, subset_file, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    message = one_line(build(cli, tree, subset_file, "--out_dir", "file"))
    assert "file is a file, not a folder; choose another --out_dir" in message


def test_windows_line_ends_and_a_byte_order_mark_just_work(cli, tree, tmp_path) -> None:
    (tmp_path / "five.txt").write_bytes(b"\xef\xbb\xbfn12267677\r\n\r\nn02701002 # ambulance\r\n")
    done = build(cli, tree, "./five.txt")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out_files/five_cls_metadata.csv").read_text() == (
        "subset_label,original_id,WNID,human_label\n0,327,n12267677,acorn\n"
        "1,265,n02701002,ambulance\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [["build"], ["--splits", "test"], ["--workers", "0"], ["--missing", "no"], ["buidl"]],
)
def test_wrong_usage_exits_with_2(cli, arguments) -> None:
    done = cli(*(["--subset_name", "imagenet30", *arguments] if arguments else []))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--help" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["build", "--owerwrite"], "build: no flag --owerwrite (did you mean --overwrite?); "),
        (["--subset-nam", "x"], "build: no flag --subset_nam (did you mean --subset_name?); "),
        (["--subset_name=x", "--over"], "build: no flag --over (did you mean --overwrite?); "),
        (["verify", "a.npz", "--al"], "verify: no flag --al (did you mean --all?); "),
        (["verify", "--zzz=3"], "verify: no flag --zzz; imagenet-subset verify --help lists"),
        (["--versoin"], "build: no flag --versoin (did you mean --version?); "),
        (["classes", "a", "b"], "classes: 'b' isn't expected; imagenet-subset classes --help"),
        (["classes", "-x"], "classes: no flag -x; "),
        (["demo", "--json"], "demo: no flag --json; "),
        (["-v"], "build: no flag -v (did you mean --version?); "),
        (["-q"], "build: no flag -q (did you mean --quiet?); "),
        (["--debug"], "build: --subset_name is missing: a list of classes, such as imagenet30; "),
        (["--json", "--quiet"], "build: --subset_name is missing: "),
        (["help"], "imagenet-subset: no command 'help' (did you mean --help?); "),
        (["inspect", "--", "--a.npz", "--b"], "inspect: '--b' isn't expected; "),
        (["\n"], "imagenet-subset: no command "),
        (["selftest", "--resize", "64"], "224 is more than a resize of 64: give both; "),
        (["selftest", "--crop=7"], "selftest: crop is 8 or more, not 7; "),
        (["selftest", "--resize=2049"], "selftest: resize is at most 2048, not 2049; "),
        (["selftest", "--crop=-8"], "--crop: '-8' isn't a whole number from 1 on; "),
        (["selftest", "--interpolation=hamming"], "--interpolation: invalid choice: 'hamming' "),
    ],
)
def test_a_word_that_is_not_known_points_to_the_command_s_help(cli, words, says) -> None:
    done = cli(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("--help lists what there is\n")


@pytest.mark.parametrize("words", [["--version"], ["demo", "--version"], ["--quiet", "--version"]])
def test_the_version_is_said_with_any_command(cli, words) -> None:
    done = cli(*words)
    assert (done.returncode, done.stdout) == (0, f"imagenet-subset {__version__}\n")


def test_words_after_two_hyphens_are_left_alone(cli) -> None:
    assert "--my-file.npz" in one_line(cli("inspect", "--", "--my-file.npz"))


@thorough("whole builds, for a small matter")
def test_the_home_folder_is_found_after_an_equals_sign(cli, tree, subset_file, tmp_path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "tree").symlink_to(tree, target_is_directory=True)
    shutil.copy(subset_file, home / "mine.txt")
    env = {"HOME": str(home), "USERPROFILE": str(home)}
    done = cli("--subset_name=~/mine.txt", "--data_dir=~/tree", "--out_dir=~/out", "--splits=val",
               *CPU, env=env)  # fmt: skip
    assert done.returncode == 0, done.stderr
    npz = home / "out/mine_cls.npz"
    assert npz.exists()
    for words in (["inspect"], ["verify"], ["preview", "--out=~/a.png", "--html=~/a.html"],
                  ["locate", "--row=0", "--split=val", "--data_dir=~/tree", "--save=~/b.png"],
                  ["verify", "--data_dir=~/tree", "--sample=1"]):  # fmt: skip
        done = cli(*words, "~/out/mine_cls.npz", env=env)
        assert done.returncode == 0, done.stderr
    assert (home / "a.png").exists()
    assert (home / "b.png").exists()
    assert not (tmp_path / "~").exists()


def test_a_mistyped_command_is_told_its_right_name(cli) -> None:
    done = cli("inspct", "a.npz")
    assert done.returncode == 2
    assert done.stderr.startswith("imagenet-subset: no command 'inspct' (did you mean inspect?)")


def test_debug_shows_the_traceback(cli) -> None:
    done = cli("--subset_name", "nothing", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_what_the_system_refuses_is_a_line(cli, tree, subset_file) -> None:
    message = one_line(build(cli, tree, subset_file, "--out_dir", "o" * 300))
    assert message.endswith(": File name too long; put that right and run the same command again")


def test_what_nobody_thought_of_is_a_line_too(monkeypatch, capsys) -> None:
    def find_classes(_pattern: str) -> list:
        raise RuntimeError("of\ntwo lines")

    monkeypatch.setattr("imagenet_subset.ilsvrc.classes.find_classes", find_classes)
    assert main(["classes"]) == 1
    assert capsys.readouterr().err == (
        "imagenet-subset: unexpected RuntimeError: of two lines; a defect of this program: "
        "--debug shows it\n"
    )
    with pytest.raises(RuntimeError):
        main(["classes", "--debug"])


@pytest.mark.skipif(sys.platform == "win32", reason="no such files there")
def test_a_subset_file_that_never_ends_is_refused_at_once(cli, tree, tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    for name in ("/dev/zero", "pipe.txt"):
        message = one_line(build(cli, tree, name))
        assert f"can't read {name}: it is a " in message
        message = one_line(build(cli, tree, "imagenet30", "--train_list", name))
        assert f"can't read {name}: it is a " in message


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use can't be deleted there")
def test_a_deleted_working_folder_is_told(tmp_path) -> None:
    code = f'cd {shlex.quote(str(tmp_path))} && rmdir . 2>/dev/null; rmdir $PWD; exec "$@"'
    words = [sys.executable, "-m", "imagenet_subset", "--subset_name", "imagenet30"]
    done = subprocess.run(["sh", "-c", code, "sh", *words], capture_output=True, text=True)
    assert one_line(done).endswith("No such file or directory; change to a folder that is there")


# Other manners


@thorough("whole builds, for a small matter")
def test_a_full_check_builds_the_same(cli, tree, subset_file, tmp_path) -> None:
    for out, more in (("a", []), ("b", ["--full_check"])):
        done = build(cli, tree, subset_file, "--out_dir", out, *more)
        assert done.returncode == 0, done.stderr
    names = [tmp_path / out / "five_cls.npz" for out in "ab"]
    assert names[0].read_bytes() == names[1].read_bytes()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_is_in_the_readme_s_table(name, capsys) -> None:
    module = importlib.import_module(f"imagenet_subset.cli.commands.{name}")
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert module.HELP
    shown = capsys.readouterr().out
    assert module.HELP in " ".join(shown.split())
    assert f"\n| `imagenet-subset {name}` | " in (ROOT / "README.md").read_text()


def test_every_module_of_a_command_is_named_in_the_table_of_commands() -> None:
    modules = {path.stem for path in (ROOT / "imagenet_subset/cli/commands").glob("*.py")}
    assert modules - {"__init__", "arguments"} == set(COMMANDS)


STOPPED_AT_AN_IMPORT = """
import os, sys
def stop(event, args):
    if event == "import" and args[0] == os.environ["AT"]:
        if "imagenet_subset.cli.program" in sys.modules:
            os.environ["AT"] = ""
            os.kill(os.getpid(), 2)
sys.addaudithook(stop)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
@pytest.mark.parametrize("start", [("-m", "imagenet_subset"), (ROOT / "main.py",)])
@pytest.mark.parametrize(
    "module",
    ["numpy", "datetime", "numpy.linalg", "imagenet_subset.cli.main", "argparse",
     "imagenet_subset.ilsvrc.classes", "imagenet_subset.cli.printing"],
)  # fmt: skip
def test_a_stop_during_the_first_imports_is_a_line_and_no_traceback(
    module, start, tmp_path
) -> None:
    env = os.environ | hook(tmp_path / "hook", STOPPED_AT_AN_IMPORT) | {"AT": module}
    command = [sys.executable, *start, "classes", "acorn"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "imagenet-subset: stopped\n")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc on this system")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["numpy", "numpy.linalg", "imagenet_subset.cli.main"])
def test_a_stop_while_a_builds_workers_import_leaves_none_of_them(
    number, module, subset_file, tmp_path
) -> None:
    stop = STOPPED_AT_AN_IMPORT.replace("os.getpid(), 2", f"os.getpid(), {number}")
    env = os.environ | hook(tmp_path / "hook", stop) | {"AT": module}
    command = [sys.executable, ROOT / "main.py", "--subset_name", subset_file]
    done = subprocess.Popen(command, env=env, start_new_session=True, stderr=subprocess.PIPE)
    _, said = done.communicate()
    how = "stopped" if number == signal.SIGINT else "stopped by SIGTERM"
    assert (done.returncode, said.decode()) == (128 + number, f"imagenet-subset: {how}\n")
    wait_for(lambda: not members(done.pid), 5)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no nohup")
def test_a_stop_that_the_caller_ignores_stays_ignored() -> None:
    ignoring = "trap '' INT; exec \"$@\""
    code = (
        "import os, sys\n"
        "from imagenet_subset.cli.program import program\n"
        "sys.argv[1:] = ['classes', 'acorn']\n"
        "os.kill(os.getpid(), 2)\n"
        "assert program() == 0\n"
    )
    command = ["sh", "-c", ignoring, "sh", sys.executable, "-c", code]
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0


def test_the_package_itself_is_imported_without_numpy_and_has_all_its_names() -> None:
    code = (
        "import sys, imagenet_subset as package\n"
        "assert 'numpy' not in sys.modules\n"
        "assert not {*package.__all__} - {*dir(package)}\n"
        "assert package.open_subset.__name__ == 'open_subset'\n"
        "from imagenet_subset import *\n"
        "assert issubclass(ImagenetSubsetError, Exception) and build and verify\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_and_import_take_no_heavy_library() -> None:
    code = (
        "import sys; from imagenet_subset.cli import main as cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pandas', 'PIL', 'llvmlite', 'nvidia.dali', 'cupy', 'torch', 'simplejpeg'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = [sys.executable, "-m", "imagenet_subset", "classes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.read(10)
        running.stdout.close()
        assert running.stderr.read() == b""


@thorough("whole builds, for a small matter")
@pytest.mark.skipif(sys.platform == "win32", reason="no such shell there")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_failure(tree, subset_file, tmp_path, closed) -> None:
    words = [sys.executable, "-m", "imagenet_subset", "--subset_name", subset_file, "--data_dir",
             tree, *CPU]  # fmt: skip
    command = f"exec {shlex.join(map(str, words))} {closed}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out_files/five_cls.npz").exists()


full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")


@thorough("whole builds, for a small matter")
@full
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_for_messages_is_no_failure(tree, subset_file, tmp_path, unbuffered) -> None:
    words = [sys.executable, "-m", "imagenet_subset", "--data_dir", tree, *CPU, "--subset_name"]
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as out:
        for subset, code in ((subset_file, 0), ("nothing", 1)):
            done = subprocess.run(
                [*map(str, words), str(subset)], cwd=tmp_path, env=env, stderr=out,
                stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert done.returncode == code
    assert (tmp_path / "out_files/five_cls.npz").exists()


@full
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_for_output_is_a_line(tmp_path, unbuffered) -> None:
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "imagenet_subset", "classes"], cwd=tmp_path, env=env,
            stdout=out, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert one_line(done) == "imagenet-subset: standard output: No space left on device"


@full
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_full_disk_for_the_report_leaves_a_complete_file_and_says_so(
    tree, subset_file, tmp_path, more
) -> None:
    command = [sys.executable, "-m", "imagenet_subset", "--subset_name", subset_file,
               "--data_dir", tree, *CPU, "--progress", "none", *more]  # fmt: skip
    with open("/dev/full", "w") as out:
        done = subprocess.run(command, cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "imagenet-subset: standard output: No space left on device; out_files/five_cls.npz is "
        "complete"
    )
    assert (tmp_path / "out_files/five_cls.npz").exists()


def test_a_name_that_the_terminal_can_not_show_is_no_failure(cli, tree, subset_file) -> None:
    done = build(cli, tree, subset_file, "--out_dir", "\xfc", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("\\xfc/five_cls.npz")


def test_classes_finds_names_with_spaces(cli) -> None:
    done = cli("classes", "great white")
    assert "n01484850" in done.stdout
    assert done.stdout.count("\n") == 2


def test_classes_and_plan_tell_equal_names_apart(cli, tree, tmp_path) -> None:
    done = cli("classes", "crane")
    assert "crane (bird)" in done.stdout
    assert "crane (machine)" in done.stdout


def test_what_there_was_to_do_is_told_in_numbers_that_mean_something(tmp_path) -> None:
    results = {
        (350, 0, 2.0): "350 images in 2.0 s, 175 images/s",
        (1, 1, 2.0): "1 image in 2.0 s, 0 images/s; 1 was done already",
        (1200, 5, 0.0): "1,200 images in 0.0 s; 5 were done already",
        (0, 350, 2.0): "nothing was left to decode; 350 were done already",
    }
    for (decoded, kept, seconds), text in results.items():
        result = BuildResult(None, decoded=decoded, kept=kept, seconds=seconds)  # type: ignore[arg-type]
        assert work_done(result) == text


def test_the_bar_counts_no_row_that_a_stopped_shard_left_undone() -> None:
    shard = ShardResult([7, None, 0, None, None], kept=1, failures=[(1, "not a photo")])
    assert come_through(shard) == 3


def test_wnids_only_can_be_redirected_into_a_subset_file(cli, tree, tmp_path) -> None:
    done = cli("classes", "airliner", "--wnids_only")
    (tmp_path / "planes.txt").write_text(done.stdout)
    assert build(cli, tree, "planes.txt", "--dry_run").returncode == 0


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no POSIX permissions here")
def test_an_unreadable_class_folder_is_named(cli, own_tree, subset_file) -> None:
    as_others: list[str] = []
    if os.getuid() == 0:  # root without the powers that let it read everything
        if not shutil.which("setpriv"):
            pytest.skip("root reads everything, and there is no setpriv")
        as_others = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    (own_tree / "train/n12267677").chmod(0)
    try:
        message = one_line(build(cli, own_tree, subset_file, under=as_others))
    finally:
        (own_tree / "train/n12267677").chmod(0o755)
    assert "Permission denied" in message
    assert "train/n12267677" in message
