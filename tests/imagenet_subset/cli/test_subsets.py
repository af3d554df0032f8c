"""``imagenet-subset subsets``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from imagenet_subset import build
from imagenet_subset.demo.tree import write_demo_tree
from imagenet_subset.errors import SubsetError
from imagenet_subset.ilsvrc.classes import AUX_FILES
from imagenet_subset.ilsvrc.named_subsets import named_subsets
from imagenet_subset.selection.subset import load_subset


def test_the_table_has_a_line_for_each_list_with_its_labels_and_wnids(command) -> None:
    head, *lines = command("subsets").partition("\n\n")[0].splitlines()
    assert head.split()[:3] == ["name", "labels", "WNIDs"]
    assert [line.split()[0] for line in lines] == list(named_subsets())
    for line in lines:
        name, labels, wnids = line.split()[:3]
        subset = load_subset(name)
        assert (int(labels), int(wnids)) == (len(subset.titles), len(subset.wnids))


def test_it_fits_a_terminal_of_100_columns(command) -> None:
    outputs = [command("subsets"), *(command("subsets", name) for name in named_subsets())]
    assert max(len(line) for out in outputs for line in out.splitlines()) <= 100


def test_it_says_that_seven_sets_go_by_one_name_and_marks_them(command) -> None:
    out = command("subsets")
    text = " ".join(out.split())
    assert 'Seven different sets go by "ImageNet-100": imagenet100 (CMC); imagenet100_ucir' in text
    assert "that of SCAN, which doesn't ship (its licence is CC BY-NC 4.0)" in text
    assert 'Two different sets go by "ImageNet-10": imagenet10 (DAC); mcm_imagenet10 (MCM).' in text
    starred = re.findall(r"^(\S+) .* \*", out, re.M)
    hundreds = ["imagenet100", "imagenet100_ucir", "imagenet100_podnet", "imagenet100_kaggle"]
    assert sorted(starred) == sorted(
        [*hundreds, "mcm_imagenet100", "imagenet10", "mcm_imagenet10", "miniimagenet"]
    )


def test_of_a_list_it_says_whose_it_is_what_to_cite_and_how_to_build_it(command) -> None:
    out = " ".join(command("subsets", "imagenet100_ucir").split())
    assert "called ImageNet-100" in out
    assert "whose UCIR" in out
    assert "labels 100, a WNID each" in out
    assert "order that in which they are drawn" in out
    assert "source github.com/hshustc/CVPR19_Incremental_Learning" in out
    assert "cite Hou, Pan, Loy, Wang, Lin, Learning a Unified Classifier" in out
    assert "not imagenet100 (CMC), also called ImageNet-100" in out
    assert "not imagenet100_ucir" not in out
    assert "build imagenet-subset --subset_name imagenet100_ucir --data_dir DIR" in out


def test_of_a_list_under_an_alias_it_says_the_name_and_that_lines_are_superclasses(command) -> None:
    out = command("subsets", "living17_source")
    assert out.startswith("breeds_living17_source\n")
    assert "17 superclasses of 34 WNIDs" in out


@pytest.mark.parametrize("name", ["imagenet_a", "restricted_imagenet", "breeds_living17"])
def test_wnids_only_prints_a_subset_file(command, tmp_path, name: str) -> None:
    out = command("subsets", name, "--wnids_only")
    assert out == (AUX_FILES / f"{name}.txt").read_text()
    (tmp_path / "own.txt").write_text(out)
    assert load_subset(tmp_path / "own.txt").sha256 == load_subset(name).sha256


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tiny-imagenet"], "did you mean tinyimagenet200? `imagenet-subset subsets` lists them"),
        (["ImageNet-10"], "did you mean imagenet10, mcm_imagenet10?"),
        (["?"], "no list named '?' comes with the program; `imagenet-subset subsets` lists them"),
        (["a\nb" * 99], r"no list named 'a\nba"),
    ],
)
def test_what_is_no_list_is_refused_with_the_nearest(command, words, message: str) -> None:
    with pytest.raises(SubsetError) as error:
        command("subsets", *words)
    assert message in str(error.value)
    assert str(error.value).isprintable()


def test_the_lines_of_no_list_are_wrong_usage(cli) -> None:
    done = cli("subsets", "--wnids_only")
    assert done.returncode == 2
    assert "say which list, as in imagenet-subset subsets imagenette" in done.stderr


def test_a_build_of_a_list_is_that_of_a_file_with_its_lines(command, tmp_path: Path) -> None:
    tree = write_demo_tree(
        tmp_path / "ILSVRC", wnids=named_subsets()["imagenet10"].wnids, train_per_class=1, odd=False
    )
    (tmp_path / "imagenet10.txt").write_text(command("subsets", "imagenet10", "--wnids_only"))
    built = [
        build(subset, tree, tmp_path / out, splits=["train"], device="cpu", pipeline="pillow")
        for subset, out in (("imagenet10", "a"), (tmp_path / "imagenet10.txt", "b"))
    ]
    assert built[0].npz.read_bytes() == built[1].npz.read_bytes()
    assert built[0].csv.read_bytes() == built[1].csv.read_bytes()
