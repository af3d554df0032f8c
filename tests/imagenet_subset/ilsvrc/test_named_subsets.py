"""The lists that ship: none changes by accident, and each is known by its names."""

from __future__ import annotations

import hashlib
import itertools
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from imagenet_subset.ilsvrc.classes import AUX_FILES, class_table
from imagenet_subset.ilsvrc.named_subsets import (
    NamedSubset,
    elsewhere,
    named_subsets,
    near,
    of_name,
    resolve,
    shared_names,
)
from imagenet_subset.selection.subset import load_subset

SUBSETS = list(named_subsets().values())
BREEDS = ("living17", "entity13", "entity30", "nonliving26")

LISTS = {
    "imagenette": (10, 10, "bbf5739ac32da1a75c7279e5d0df6b14017de2a5f5e99a3ddba915ede171741b"),
    "imagewoof": (10, 10, "e0df343b334d68d2301c65f2c90bd60529d335360bd52130aff755513706bb34"),
    "imagenet10": (10, 10, "e966ac0dac69bd6d93261cad225f6900a85dc1ef4aee098b1d2ecba988def8be"),
    "imagenet_dogs15": (15, 15, "4667a7ea6e7bdcb8e68afa26f8171defd377d1ae0fca3bb880e90d87440e52ad"),
    "imagenet30": (30, 30, "9918833bf541ee5c1e8e4f09c7c3a525edf7dc60753418e549c58533ec376454"),
    "imagenet100": (100, 100, "79f3f1552ccc478ce24bd934b4573625db584ddc1f4643ae23c994a94cb11397"),
    "imagenet100_ucir": (
        100,
        100,
        "dbf96adcdd5a29fca14c65283bb178686b464d20ddfee751b8a96b7937cbd00c",
    ),
    "imagenet100_podnet": (
        100,
        100,
        "b332dbd149be58bd06982a583959d80f93d796938a70c0db0146a9e4fc9d661f",
    ),
    "imagenet100_kaggle": (
        100,
        100,
        "65f2f59f5977eec14441769b773acb7151b9bcc41b649c3fb15e2674e20944d2",
    ),
    "mcm_imagenet10": (10, 10, "38ded461fe974c17541a2d16837da6bbd645c2555daa3730d7f993ecf543e241"),
    "mcm_imagenet20": (20, 20, "f85b2660edf7a3e3cefa6487e7c60fdccffad801502b96eed5fae8ccaf40b3d3"),
    "mcm_imagenet100": (
        100,
        100,
        "94fc3b205ac5c7e2bf27a74c492c38ae99925546f6e67fa5007a1799b0425304",
    ),
    "tinyimagenet200": (
        200,
        200,
        "a36eb4b603007f1985cdfbfc5987166a2710b3c6f0f6d3e29636fc129bba527b",
    ),
    "imagenet_a": (200, 200, "9826a24166e74ce62fb87b27889874ca26917542c745712309d6e25855d63bc2"),
    "imagenet_r": (200, 200, "a6a0729f7a99230280639cab6e51e01485a3b41a676ea35621a501c9d6e83ca4"),
    "imagenet_o": (200, 200, "29575307f17b6cb040fcd04fee2b5b7b0e43f7c55072fb05d4b33cc39fc60978"),
    "miniimagenet": (100, 100, "7600327334af2bae76b8722817b4ff2255eb1006a442c56eeb2a092c0c8d9b99"),
    "miniimagenet_train": (
        64,
        64,
        "617600f7f3ba9b5cd319a6f963a478694cd6bf38252aa16d1acf7e8ce4f106ab",
    ),
    "miniimagenet_val": (
        16,
        16,
        "71592e7d268aa1975f457323419b113ee0a951e7fa321828c94ade452cf84bc4",
    ),
    "miniimagenet_test": (
        20,
        20,
        "cb594248f5c9fe821ad946d77870e379d19145031abd9e8661322fd3449b3274",
    ),
    "tieredimagenet": (
        608,
        608,
        "79ffbd166f345282dd69fcdd6ebb372dbcdb0f5b823a3a725a7d520ddd6824be",
    ),
    "tieredimagenet_train": (
        351,
        351,
        "54fc148099136a025a4252ab59c7d2fb219ae2ec59d1c2c25c41a48c7245046f",
    ),
    "tieredimagenet_val": (
        97,
        97,
        "4aed7b48679f3dbdf181c538e6d611290b3a3bc8a826adfa60af1815e77d008b",
    ),
    "tieredimagenet_test": (
        160,
        160,
        "8c2abf3b1b5f042cf77de41f28d7171d1d6302ac0207a67127d503c8ec551daa",
    ),
    "restricted_imagenet": (
        9,
        203,
        "d51f939ee3dc4d39b993876a2d167bc9aea8cc9421092c814e711d88eca60c7b",
    ),
    "imagenet9": (9, 370, "e4ee2cfca773ecdc4c9fa881b8988a06dbbe8b30e2bf8f007c1750fc38dbffc6"),
    "breeds_living17": (17, 68, "e2133836b4b1fa0024c7c49f9533132ccf740a55f7244855de81f5c89ec9bc10"),
    "breeds_living17_source": (
        17,
        34,
        "4ef0893bd3e0dc915961c0355b7b967938053d02ecf69f13e8eb17306295b032",
    ),
    "breeds_living17_target": (
        17,
        34,
        "b420fb7fa6c0a0de5a1bf8b38df915eb806c95178668972372e3a9864fad3af5",
    ),
    "breeds_entity13": (
        13,
        260,
        "54400e7055032bfee01a3851ec914e832cf3b5bfbef964bc00fef8b7f882fd01",
    ),
    "breeds_entity13_source": (
        13,
        130,
        "dd9f18a54d9b9331c3baf06b4099978600d26bdf1fdb95f5af092182d5297c09",
    ),
    "breeds_entity13_target": (
        13,
        130,
        "2b53da5103beef7ccff52423a32225f531c63c6842b024fdbe2084014aaa4401",
    ),
    "breeds_entity30": (
        30,
        240,
        "c431b82c0be783dc37132c449a09af84b8433c1d4e4c326ff4b341f68ccf6c25",
    ),
    "breeds_entity30_source": (
        30,
        120,
        "67b1952baa7ded72740aa81885a48c1e135ee6e676555d79d2e2e290a49b3c57",
    ),
    "breeds_entity30_target": (
        30,
        120,
        "e3e451cb0dc7cc0dea40c9fe57d4a790050f2886a83e2d407b2d1ee4c5496bd7",
    ),
    "breeds_nonliving26": (
        26,
        104,
        "95eee973c9848c2c741b8bc0c575f1d931b3e9d1de96bad96a1e27a557a79637",
    ),
    "breeds_nonliving26_source": (
        26,
        52,
        "8eecb0463aaa9fe29da5be3b1095971a881d3dce7f63d7d44214445da0b34b7c",
    ),
    "breeds_nonliving26_target": (
        26,
        52,
        "35417cc9a01adc8461ad0db3497dda0e831b708b0de3f7e4a8fef61094385ba6",
    ),
    "imagenet1k": (1000, 1000, "70002b0ff5de60a3a17a82dbfcff291931f96225ddf941ad2e182fc39e183d15"),
}
"""Of each list, labels, WNIDs, and the SHA-256 that the provenance of a build records."""

NAMES = {
    "restricted_imagenet": "36f3f00ea57539b72c19b4acc99da9d3f39f0d20d2c2c88c56e10cf942289384",
    "imagenet9": "d638bdb5f06980c56fdf8ba78bc12b9f49dee51422d37ff3ba23c5e05b5d8d0e",
    "breeds_living17": "9b1d4d8f5b3d35aed1336b95c71e35f14bd039d0472f7159a5529dab67ed3bb8",
    "breeds_living17_source": "9b1d4d8f5b3d35aed1336b95c71e35f14bd039d0472f7159a5529dab67ed3bb8",
    "breeds_living17_target": "9b1d4d8f5b3d35aed1336b95c71e35f14bd039d0472f7159a5529dab67ed3bb8",
    "breeds_entity13": "57ff75b2e7b24d26153738560c655691d74be84234f4054419fd2411cda7f677",
    "breeds_entity13_source": "57ff75b2e7b24d26153738560c655691d74be84234f4054419fd2411cda7f677",
    "breeds_entity13_target": "57ff75b2e7b24d26153738560c655691d74be84234f4054419fd2411cda7f677",
    "breeds_entity30": "9aa6c1bd7f4b14edadf6ed8bf96e59b63d371e7b73146df171b063de9500150d",
    "breeds_entity30_source": "9aa6c1bd7f4b14edadf6ed8bf96e59b63d371e7b73146df171b063de9500150d",
    "breeds_entity30_target": "9aa6c1bd7f4b14edadf6ed8bf96e59b63d371e7b73146df171b063de9500150d",
    "breeds_nonliving26": "cfbcc4f4ad9d4e20c7f9182c22a43630b680a38879c96c9815870ee8407d5f39",
    "breeds_nonliving26_source": "cfbcc4f4ad9d4e20c7f9182c22a43630b680a38879c96c9815870ee8407d5f39",
    "breeds_nonliving26_target": "cfbcc4f4ad9d4e20c7f9182c22a43630b680a38879c96c9815870ee8407d5f39",
}
"""SHA-256 of the names of superclasses, a line each."""


@pytest.fixture(autouse=True)
def elsewhere_than_in_the_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# The files


def test_the_lists_are_those_of_the_table_and_each_has_its_file() -> None:
    assert list(named_subsets()) == list(LISTS)
    files = {path.stem for path in AUX_FILES.glob("*.txt")} - {"ilsvrc2012_val_clsloc_ids"}
    assert files == set(LISTS)


@pytest.mark.parametrize("name", LISTS)
def test_no_list_changes_by_accident(name: str) -> None:
    labels, wnids, sha256 = LISTS[name]
    subset = load_subset(name)
    assert (len(subset.titles), len(subset.wnids)) == (labels, wnids)
    assert subset.sha256 == sha256
    assert set(subset.wnids) <= set(class_table())
    assert len(set(subset.wnids)) == wnids


@pytest.mark.parametrize("subset", SUBSETS, ids=lambda subset: subset.name)
def test_the_listing_reads_a_file_as_a_build_does(subset: NamedSubset) -> None:
    loaded = load_subset(subset.name)
    assert tuple(subset.wnids) == loaded.wnids
    assert len(subset.lines) == len(loaded.titles)
    assert (len(subset.lines) < len(subset.wnids)) == loaded.has_superclasses


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_superclass_changes_by_accident(name: str) -> None:
    lines = "".join(f"{title}\n" for title in load_subset(name).titles)
    assert hashlib.sha256(lines.encode()).hexdigest() == NAMES[name]


def test_the_names_of_all_lists_with_superclasses_are_in_the_table() -> None:
    assert {s.name for s in SUBSETS if load_subset(s.name).has_superclasses} == set(NAMES)


# What is said of them in papers holds


def test_a_label_of_imagenet1k_is_the_index_among_the_sorted_wnids() -> None:
    assert load_subset("imagenet1k").wnids == tuple(sorted(class_table()))


@pytest.mark.parametrize("whole", ["miniimagenet", "tieredimagenet"])
def test_a_whole_is_its_train_val_and_test_one_after_another(whole: str) -> None:
    parts = [load_subset(f"{whole}_{part}").wnids for part in ("train", "val", "test")]
    assert load_subset(whole).wnids == sum(parts, ())


@pytest.mark.parametrize("name", BREEDS)
def test_source_and_target_have_the_labels_of_the_whole_and_half_of_each_class(name: str) -> None:
    whole, source, target = map(load_subset, halves(f"breeds_{name}"))
    assert whole.titles == source.titles == target.titles
    for label in range(len(whole.titles)):
        ours, theirs, all_of_it = (of_label(half, label) for half in (source, target, whole))
        assert len(ours) == len(theirs)
        assert ours | theirs == all_of_it


def halves(whole: str) -> tuple[str, str, str]:
    return whole, f"{whole}_source", f"{whole}_target"


def of_label(subset, label: int) -> set[str]:
    return {w for w, each in zip(subset.wnids, subset.labels, strict=True) if each == label}


def test_podnet_takes_the_first_hundred_and_ucir_other_ones() -> None:
    assert load_subset("imagenet100_podnet").wnids == tuple(sorted(class_table()))[:100]
    drawn = np.random.RandomState(1993).choice(sorted(class_table()), 100, replace=False)
    assert load_subset("imagenet100_ucir").wnids == tuple(map(str, drawn))


def test_the_sets_that_share_a_name_are_different_sets() -> None:
    for called in shared_names():
        sets = [frozenset(s.wnids) for s in of_name(called) if isinstance(s, NamedSubset)]
        assert len(set(sets)) == len(sets)


def test_the_imagenet_100s_have_few_classes_in_common() -> None:
    hundreds = [s for s in of_name("ImageNet-100") if isinstance(s, NamedSubset)]
    common = {
        frozenset((a.whose, b.whose)): len({*a.wnids} & {*b.wnids})
        for a, b in itertools.combinations(hundreds, 2)
    }
    assert common.pop(frozenset(("PODNet; DER has the same", "Kaggle user ambityga"))) == 69
    assert all(6 <= number <= 12 for number in common.values())


# What is known of them


def test_seven_sets_go_by_imagenet_100() -> None:
    whose = [each.whose.partition(";")[0] for each in of_name("ImageNet-100")]
    assert whose == ["CMC", "UCIR", "PODNet", "Kaggle user ambityga", "MCM", "SCAN", "NPOS"]
    assert {len(s.wnids) for s in of_name("ImageNet-100") if isinstance(s, NamedSubset)} == {100}


def test_each_has_a_citation_with_a_year_and_each_paper_is_cited() -> None:
    cited = {citation for s in SUBSETS for citation in s.citations}
    cited |= {each.citation for each in elsewhere()}
    papers = tomllib.loads((AUX_FILES / "subsets.toml").read_text())["papers"]
    assert cited == set(papers.values())
    for citation in cited:
        assert re.search(r"\b20[0-2][0-9]\b", citation) or "kaggle.com" in citation


def test_no_key_of_the_table_of_facts_is_misspelt() -> None:
    known = {"called", "whose", "order", "paper", "also", "source", "licence", "aliases", "parts"}
    lists = tomllib.loads((AUX_FILES / "subsets.toml").read_text())["lists"]
    for facts in lists.values():
        assert set(facts) <= known | {"note"}


def test_the_readme_and_the_listing_cite_the_same() -> None:
    readme = " ".join((Path(__file__).parents[3] / "README.md").read_text().split())
    plain = readme.replace("*", "")
    (imagenet30,) = named_subsets()["imagenet30"].citations
    assert imagenet30 in plain
    assert named_subsets()["imagenet100"].citations[-1] in plain


# Their names


def test_no_alias_is_the_name_or_an_alias_of_another() -> None:
    aliases = [alias for subset in SUBSETS for alias in (subset.name, *subset.aliases)]
    assert len(set(aliases)) == len(aliases)
    assert all(re.fullmatch("[a-z0-9_]+", alias) for alias in aliases)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("living17", "breeds_living17"),
        ("breeds_living17_rand_source", "breeds_living17_source"),
        ("imagenet100_cmc", "imagenet100"),
        ("miniimagenet_ravi_val", "miniimagenet_val"),
        ("tiny_imagenet", "tinyimagenet200"),
        ("imagenette", "imagenette"),
    ],
)
def test_an_alias_is_its_list(alias: str, name: str) -> None:
    assert resolve(alias) == name


@pytest.mark.parametrize("name", ["ImageNet-100", "imagenet_100", "Living17", "", "a\0b"])
def test_a_name_must_be_right_to_the_letter_for_a_build(name: str) -> None:
    assert resolve(name) is None


@pytest.mark.parametrize(
    ("meant", "names"),
    [
        ("tiny-imagenet", ["tinyimagenet200"]),
        ("Tiny ImageNet", ["tinyimagenet200"]),
        ("mini_imagenet", ["miniimagenet"]),
        ("mini-ImageNet_train", ["miniimagenet_train"]),
        ("living17", ["breeds_living17"]),
        ("ImageNet-A", ["imagenet_a"]),
        ("ImageNet-10", ["imagenet10", "mcm_imagenet10"]),
        ("solo-learn", ["imagenet100"]),
        ("x" * 5000, []),
        ("", []),
        ("-_ ", []),
    ],
)
def test_near_names_are_found_whatever_their_case_and_hyphens(meant: str, names: list) -> None:
    assert near(meant) == names


@pytest.mark.parametrize("meant", ["ImageNet-100", "imagenet_100", "imagenet 100"])
def test_all_that_go_by_imagenet_100_are_near_it(meant: str) -> None:
    shipped = [each.name for each in of_name("ImageNet-100") if isinstance(each, NamedSubset)]
    assert near(meant) == shipped
    assert len(shipped) == 5


def test_a_slip_of_the_keyboard_is_near_what_was_meant() -> None:
    assert near("imgenette")[0] == "imagenette"
    assert "imagenet30" in near("imagenet3O")
    assert "breeds_entity13" in near("entity_13_")
