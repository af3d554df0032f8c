"""Subset files with superclasses, and WNIDs in place of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from imagenet_subset.errors import SubsetError
from imagenet_subset.selection.subset import Subset, load_subset

ACORN, AIRLINER, AMBULANCE = "n12267677", "n02690373", "n02701002"
CRANES = ("n02012849", "n03126707")


def load(folder: Path, text: str) -> Subset:
    path = folder / "some.txt"
    path.write_text(text, encoding="utf-8")
    return load_subset(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SubsetError) as caught:
        load(folder, text)
    return str(caught.value).replace(str(folder), "")


def test_the_wnids_of_a_line_share_its_label(tmp_path: Path) -> None:
    subset = load(tmp_path, f"# two\nthings that move: {AIRLINER} {AMBULANCE}\n\n{ACORN} # one\n")
    assert subset.wnids == (AIRLINER, AMBULANCE, ACORN)
    assert subset.labels == (0, 0, 1)
    assert subset.names == ("things that move", None)
    assert subset.titles == ("things that move", "acorn")
    assert subset.has_superclasses


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (f"snake, serpent, ophidian: {ACORN}", "snake, serpent, ophidian"),
        (f"  odd : name :{ACORN}", "odd : name"),
        (f"caf\N{LATIN SMALL LETTER E WITH ACUTE}\t noir: {ACORN}", "caf\xe9 noir"),
        (f"pair:{ACORN},{AIRLINER}", "pair"),
        (
            f"\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645: {ACORN}",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        (f"PDF\u200c\u0647\u0627: {ACORN}", "PDF\u200c\u0647\u0627"),
        (f"\u0915\u094d\u200d\u0937: {ACORN}", "\u0915\u094d\u200d\u0937"),
        (f"\N{WOMAN}\u200d\N{MICROSCOPE}: {ACORN}", "\N{WOMAN}\u200d\N{MICROSCOPE}"),
    ],
)
def test_a_name_may_have_commas_colons_and_any_script(tmp_path: Path, line: str, name: str) -> None:
    assert load(tmp_path, line).titles == (name,)


def test_a_name_alone_makes_no_superclass(tmp_path: Path) -> None:
    subset = load(tmp_path, f"nut: {ACORN}\n{AIRLINER}\n")
    assert (subset.labels, subset.titles) == ((0, 1), ("nut", "airliner"))
    assert not subset.has_superclasses


def test_a_superclass_may_be_called_as_a_wnid_is(tmp_path: Path) -> None:
    subset = load(tmp_path, f"{ACORN}: {ACORN} {AIRLINER}\n{AMBULANCE}\n")
    assert subset.titles == (ACORN, "ambulance")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{ACORN} {AIRLINER}\n", ":1: 2 WNIDs without a name"),
        (f"a: {ACORN}\nb: {AIRLINER} {ACORN}\n", f":2: {ACORN} is in line 1 already; remove one"),
        (f"a: {ACORN} {ACORN}\n", f":1: {ACORN} is there twice; remove one"),
        (f"a: {ACORN}\n\na: {AIRLINER}\n", ":3: the name 'a' is in line 1 already; remove one"),
        (f"{ACORN}\nacorn: {AIRLINER}\n", ":2: the name 'acorn' is in line 1 already"),
        (f": {ACORN}\n", ":1: expected a name before the colon, found ''"),
        ("dogs:\n", ":1: no WNID after 'dogs'; expected one or more"),
        (f"a\x07b: {ACORN}\n", ":1: the name 'a\\x07b' has the character U+0007"),
        (f"a\u200cb: {ACORN}\n", ":1: the name 'a\\u200cb' has the character U+200C"),
        (
            f"\u0645\u06cc\u200c: {ACORN}\n",
            "\\u200c' has the character U+200C, which isn't printed; take",
        ),
        (f"\u0645\u06cc\u202e\u062e: {ACORN}\n", "has the character U+202E"),
        (
            f"\u0645\u06cc\u200c\u062e: {ACORN}\n\u0645\u06cc\u200c\u062e: {AIRLINER}\n",
            ":2: the name '\u0645\u06cc\u200c\u062e' is in line 1 already",
        ),
        ("dogs: husky\n", ":1: expected a WNID of ILSVRC 2012 such as n12267677, found 'husky'"),
        (
            f"{'x' * 30_000}: {ACORN}\n",
            ":1: the names up to here take more than 20,000 bytes together",
        ),
    ],
)
def test_a_wrong_line_is_refused_with_its_number(tmp_path: Path, text: str, says: str) -> None:
    assert says in refusal(tmp_path, text)


def test_the_hash_is_that_of_the_lines_wnids(tmp_path: Path) -> None:
    named = load(tmp_path, f"move: {AIRLINER} {AMBULANCE}\n{ACORN}\n")
    text = f"{AIRLINER} {AMBULANCE}\n{ACORN}\n"
    assert named.sha256 == hashlib.sha256(text.encode()).hexdigest()
    flat = load(tmp_path, f"{AIRLINER}\n{AMBULANCE}\n{ACORN}\n")
    text = f"{AIRLINER}\n{AMBULANCE}\n{ACORN}\n"
    assert flat.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_classes_of_one_name_have_their_meanings(tmp_path: Path) -> None:
    assert load(tmp_path, "\n".join(CRANES)).titles == ("crane (bird)", "crane (machine)")


@pytest.mark.parametrize("given", [f"{ACORN},{AIRLINER}", f" {ACORN} , {AIRLINER},"])
def test_wnids_with_commas_between_them_are_a_subset(given: str) -> None:
    subset = load_subset(given, "mine")
    assert (subset.name, subset.wnids) == ("mine", (ACORN, AIRLINER))


def test_one_wnid_is_a_subset() -> None:
    assert load_subset(ACORN, "one").wnids == (ACORN,)


@pytest.mark.parametrize(
    ("given", "out_name", "says"),
    [
        (f"{ACORN},{AIRLINER}", None, "name the output by --out_name"),
        (f"{ACORN},acorn", "mine", "--subset_name: word 2: expected a WNID, found the name"),
        (f"{ACORN},{ACORN}", "mine", f"word 2: {ACORN} is in word 1 already; remove one"),
        (ACORN, "a/b", "--out_name 'a/b': use letters, digits"),
        (ACORN, "-a", "--out_name '-a': use letters, digits"),
        (ACORN, ".a", "only; the first is a letter, a digit or '_'"),
        (f"{ACORN} {AIRLINER}", "mine", f"did you mean {ACORN},{AIRLINER}?"),
        (ACORN, "a.NPZ", "leave out .npz"),
        (ACORN, "a.npz", "--out_name a.npz: leave out .npz; NAME becomes NAME_cls.npz"),
    ],
)
def test_wnids_that_make_no_subset_are_refused(given: str, out_name: str | None, says: str) -> None:
    with pytest.raises(SubsetError) as caught:
        load_subset(given, out_name)
    assert says in str(caught.value)


def test_a_file_whose_name_would_not_do_is_taken_under_another(tmp_path: Path) -> None:
    path = tmp_path / "my list.txt"
    path.write_text(f"{ACORN}\n")
    with pytest.raises(SubsetError, match="or name the output by --out_name"):
        load_subset(path)
    assert load_subset(path, "mine").name == "mine"


def test_out_name_leaves_the_lists_own_name() -> None:
    assert load_subset("imagenet30", "mine").name == "imagenet30"
