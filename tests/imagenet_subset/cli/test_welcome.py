"""The program without a word: what it says to somebody who has just installed it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_subset.cli.usage import parse
from imagenet_subset.system.publishing import locked
from tests.harness.builds import two_classes
from tests.harness.terminals import drawn


def commands(text: str) -> list[list[str]]:
    """The commands that the page shows, without the program's name."""
    lines = [line.partition("   ")[0] for line in text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("  imagenet-subset ")]


def test_in_an_empty_folder_it_says_what_it_is_and_where_imagenet_is_from(cli) -> None:
    done = cli()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("imagenet-subset makes a small classification set out of ")
    for place in ("image-net.org", "Kaggle", "Hugging Face"):
        assert f"\n  {place} " in done.stdout
    assert "unfinished" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    names = [words[0] for words in commands(done.stdout)]
    assert names == ["demo", "subsets", "--subset_name"]


def test_each_command_that_it_shows_is_one(cli) -> None:
    for words in commands(cli().stdout):
        assert callable(parse(words).run)


def test_with_imagenet_in_its_usual_place_the_command_is_shorter(cli, tmp_path: Path) -> None:
    (tmp_path / "Data/CLS-LOC").mkdir(parents=True)
    done = cli()
    assert done.returncode == 0
    assert "Data/CLS-LOC is here, so that --data_dir can be left out." in done.stdout
    assert "--data_dir PATH" not in done.stdout
    assert "Kaggle" not in done.stdout


@pytest.fixture
def begun(cli, tmp_path: Path) -> Path:
    """An unfinished file in the usual folder; ten of its photos are no photos."""
    data = two_classes(tmp_path / "ILSVRC", 5)
    for photo in sorted((data / "val").iterdir())[:10]:
        photo.write_bytes(b"damaged")
    flags = ("--device", "cpu", "--pipeline", "pillow", "--workers", 1, "--quiet")
    done = cli("--subset_name", data / "two.txt", "--data_dir", data, *flags)
    assert "10 images can't be decoded" in done.stderr
    return tmp_path / "out_files/two_cls.npz.partial"


def test_an_unfinished_file_is_named_with_what_is_done(cli, begun: Path) -> None:
    said = cli().stdout
    assert "\nout_files/two_cls.npz is unfinished: 100 of 110 images are done.\n" in said
    assert "The same command as before goes on with an unfinished file." in said


def test_a_file_that_a_build_is_writing_is_said_to_be_built(cli, begun: Path) -> None:
    with locked(begun):
        said = cli().stdout
    assert "\nout_files/two_cls.npz is being built: 100 of 110 images are done.\n" in said
    assert "unfinished" not in said
    assert "is unfinished" in cli().stdout


@pytest.mark.parametrize("content", [None, b"", b"no journal"])
def test_an_unfinished_file_with_a_journal_that_can_t_be_read_is_named_too(
    cli, begun: Path, content: bytes | None
) -> None:
    journal = begun.with_suffix(".journal")
    if content is None:
        journal.unlink()
    else:
        journal.write_bytes(content)
    done = cli()
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nout_files/two_cls.npz is unfinished.\n" in done.stdout


def test_of_many_unfinished_files_some_are_named(cli, begun: Path) -> None:
    for k in range(5):
        shutil.copy(begun, begun.with_name(f"more{k}_cls.npz.partial"))
    said = cli().stdout
    assert said.count("is unfinished") == 3
    assert "3 more in out_files are unfinished." in said


def test_it_is_the_same_in_a_terminal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "imagenet_subset"]
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert drawn(command, cwd=tmp_path) == (0, piped.stdout, "")


def test_a_full_disk_is_an_error_in_one_line(cli) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "imagenet_subset"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
