"""Each form in which people hold ImageNet: the same file from all, and the way back into each."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_subset.checking.selftest import selftest
from pipelines.choice import resolve
from pipelines.request import PipelineRequest
from tests.conftest import Cli
from tests.harness.builds import Build, sent
from tests.harness.forms import FORMS, PLAIN, WITH_TRAIN_LIST
from tests.harness.originals import small_tree, train_list
from tests.harness.tiers import first_quick, thorough

WNIDS = ("n12267677", "n02690373")
"""The subset, two of the tree's four classes; the order isn't that of the WNIDs."""
NAMES = tuple(FORMS)
QUICK = ("kaggle_zip", "hf_parquet")
ONE_BY_ONE = first_quick(
    [*QUICK, *(name for name in NAMES if name not in QUICK)], "all forms", quick=len(QUICK)
)
"""Names of the forms, two of them in the quick tier."""

stops_builds = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks for processes and signals in /proc"
)


class Places:
    """The forms of one tree, each made when it is first asked for."""

    def __init__(self, tree: Path, factory: pytest.TempPathFactory) -> None:
        self.tree = tree
        self._factory = factory
        self._made: dict[str, Path] = {}

    def data_dir(self, form: str) -> Path:
        """What ``--data_dir`` is for a form."""
        if form not in self._made:
            self._made[form] = FORMS[form](self.tree, self._factory.mktemp(form))
        return self._made[form]

    def flags(self, form: str) -> list[str]:
        """``--data_dir``, and the list where the form doesn't have it."""
        given = [] if form in WITH_TRAIN_LIST else ["--train_list", str(train_list(self.tree))]
        return ["--data_dir", str(self.data_dir(form)), *given]

    def build(self, form: str, out: Path, workers: int = 1) -> Build:
        """A build from a form; of two equal flags the last one holds."""
        return Build(self.tree, out, *self.flags(form), "--workers", str(workers))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    tree = small_tree(tmp_path_factory.mktemp("tree"))
    (tree / "two.txt").write_text("".join(f"{wnid}\n" for wnid in WNIDS))
    return Places(tree, tmp_path_factory)


@pytest.fixture(scope="module")
def of_folder(places: Places, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The NPZ of the tree itself; not to be written to."""
    build = Build(places.tree, tmp_path_factory.mktemp("folder") / "out", "--workers", "1")
    build.sha256()
    return build.npz


@pytest.fixture(scope="module")
def expected(of_folder: Path) -> str:
    """SHA-256 of the NPZ of the tree itself."""
    return hashlib.sha256(of_folder.read_bytes()).hexdigest()


@pytest.mark.parametrize("form", first_quick(NAMES, "variants of forms", quick=len(PLAIN)))
def test_each_form_gives_the_bytes_that_the_folder_gives(form, places, expected, tmp_path) -> None:
    assert places.build(form, tmp_path / "out").sha256() == expected


@thorough("whole builds of all forms")
@pytest.mark.parametrize("form", NAMES)
def test_so_it_does_with_three_workers(form, places, expected, tmp_path) -> None:
    assert places.build(form, tmp_path / "out", workers=3).sha256() == expected


def killed(build: Build) -> None:
    """Kill a build that has noted its first rows."""
    with build.halted_at_first_rows() as process:
        assert sent(process, signal.SIGKILL)[0] == -signal.SIGKILL
    assert not build.npz.exists()


@stops_builds
@pytest.mark.processes
@thorough("disturbs builds of all forms")
@pytest.mark.parametrize("form", NAMES)
def test_a_build_that_was_killed_goes_on_to_the_same_bytes(
    form, places, expected, tmp_path
) -> None:
    build = places.build(form, tmp_path / "out")
    killed(build)
    assert build.sha256() == expected


@stops_builds
@pytest.mark.processes
@thorough("disturbs builds of all forms")
@pytest.mark.parametrize(("form", "other"), [*zip(NAMES, NAMES[1:] + NAMES[:1], strict=True)])
def test_a_build_begun_from_one_form_goes_on_from_another(
    form, other, places, expected, tmp_path
) -> None:
    killed(places.build(form, tmp_path / "out"))
    assert places.build(other, tmp_path / "out").sha256() == expected


@pytest.mark.parametrize("form", ONE_BY_ONE)
def test_verify_decodes_all_photos_of_a_form_again(form, places, of_folder, cli: Cli) -> None:
    done = cli("verify", of_folder, *places.flags(form), "--all", "--workers", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"checked  {2 * (6 + 50)} photos decoded again by Pillow" in done.stdout


def located(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("form", ONE_BY_ONE)
def test_locate_finds_the_photo_of_a_row_in_a_form(form, places, of_folder, cli: Cli) -> None:
    row = ("locate", of_folder, "--row", "0", "--split", "train", "--json", "--data_dir")
    in_folder = located(cli(*row, places.tree))
    found = located(cli(*row[:-1], *places.flags(form)))
    stem = Path(str(in_folder.pop("photo"))).stem
    assert stem.startswith("n02690373_")
    photo = str(found.pop("photo"))
    assert photo.startswith(str(places.data_dir(form)))
    assert stem in Path(photo).name
    assert found == in_folder


@pytest.mark.parametrize("form", ONE_BY_ONE)
def test_selftest_compares_photos_of_a_form(form, places) -> None:
    config = resolve(PipelineRequest("cpu", "pillow"), 1)
    report = selftest(config, places.data_dir(form), sample=40, rate_photos=1)
    assert report.problems == []
    yours = [kind.images for kind in report.kinds if kind.name.startswith("yours")]
    assert sum(yours) == 40
