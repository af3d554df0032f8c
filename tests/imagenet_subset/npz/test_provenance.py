"""A provenance by name and type, and as the bytes of an archive comment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_subset.errors import ReadError
from imagenet_subset.npz.comment import encode_comment
from imagenet_subset.npz.provenance import Provenance
from pipelines.rule import PixelRule

PATH = Path("three_cls.npz")
FIELDS: dict[str, Any] = {
    "format": "imagenet-subset",
    "format_version": 1,
    "left_out": {"missing": 0, "undecodable": 2},
    "pipeline": {"device": "cpu", "name": "pillow", "versions": {"pillow": "13.0.0"}},
    "pixel_rule": "shorter side 256, center crop 224",
    "program_version": "0.1.0",
    "splits": ["train", "val"],
    "subset": {"name": "three", "wnids": ["n12267677", "n02690373"], "wnids_sha256": "0"},
}
MADE = Provenance(
    subset_name="three",
    wnids=("n12267677", "n02690373"),
    wnids_sha256="0",
    splits=("train", "val"),
    pixel_rule="shorter side 256, center crop 224",
    pipeline="pillow",
    device="cpu",
    versions={"pillow": "13.0.0"},
    program_version="0.1.0",
    undecodable=2,
)

provenances = st.builds(
    Provenance,
    subset_name=st.text(),
    wnids=st.lists(st.text(max_size=9), max_size=4).map(tuple),
    wnids_sha256=st.text(max_size=9),
    splits=st.lists(st.sampled_from(["train", "val"]), unique=True).map(tuple),
    pixel_rule=st.text(),
    pipeline=st.text(),
    device=st.text(),
    versions=st.dictionaries(st.text(), st.text(), max_size=4),
    program_version=st.text(),
    missing=st.integers(min_value=0),
    undecodable=st.integers(min_value=0),
    by_name=st.booleans(),
    reencoded=st.integers(min_value=0),
)


def read(comment: bytes) -> Provenance:
    found = Provenance.from_comment(PATH, comment)
    assert found is not None
    return found


def test_the_fields_of_a_build_are_those_of_the_format() -> None:
    assert MADE.to_dict() == FIELDS
    assert MADE.to_comment() == encode_comment(FIELDS)


@given(provenances)
def test_what_is_written_is_read_again(made: Provenance) -> None:
    assert read(made.to_comment()) == made


@given(provenances)
def test_fields_have_the_order_of_the_comment(made: Provenance) -> None:
    in_file = json.loads(made.to_comment())
    del in_file["crc32"]
    assert json.dumps(made.to_dict()) == json.dumps(in_file)


@pytest.mark.parametrize("place", [("more",), ("subset", "more"), ("pipeline", "more")])
def test_what_another_version_wrote_besides_is_kept(place: tuple[str, ...]) -> None:
    fields = json.loads(json.dumps(FIELDS))
    inner = fields
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = {"a": [1]}
    found = read(encode_comment(fields))
    assert found.to_dict() == fields
    assert found.to_comment() == encode_comment(fields)
    assert found.differences(MADE) == [f"{'.'.join(place)}: {{'a': [1]}} there, nothing here"]
    assert found != MADE


@pytest.mark.parametrize("key", ["left_out", "pipeline", "pixel_rule", "program_version", "splits"])
def test_a_field_that_is_not_there_is_not_made_up(key: str) -> None:
    fields = {k: v for k, v in FIELDS.items() if k != key}
    found = read(encode_comment(fields))
    assert found.to_dict() == fields
    assert found.to_comment() == encode_comment(fields)
    assert all(difference.startswith(key) for difference in found.differences(MADE))
    assert found.describe()


def test_a_dictionary_of_it_is_a_copy() -> None:
    for found in (MADE, read(encode_comment({**FIELDS, "more": {"a": 1}}))):
        found.to_dict()["subset"]["wnids"].clear()
        found.to_dict()["left_out"].clear()
        assert found.to_dict()["subset"] == FIELDS["subset"]
        assert found.to_dict()["left_out"] == FIELDS["left_out"]


def test_a_changed_one_says_what_was_changed() -> None:
    for found in (MADE, read(encode_comment({**FIELDS, "more": 1}))):
        changed = replace(found, undecodable=3)
        assert changed.to_dict()["left_out"] == {"missing": 0, "undecodable": 3}


def test_differences_name_the_field_and_both_sides() -> None:
    other = replace(MADE, versions={"pillow": "12.0.0"}, pipeline="turbo")
    assert other.differences(MADE) == [
        "--pipeline turbo there, pillow here",
        "pipeline.versions.pillow: 12.0.0 there, 13.0.0 here",
    ]
    assert MADE.differences(MADE) == []


def test_long_values_that_begin_alike_are_shown_from_where_they_part() -> None:
    one, other = (replace(MADE, pixel_rule=PixelRule(resize, 64).text) for resize in (256, 72))
    assert one.differences(other) == [
        "pixel_rule: ...256, longer 256*longer//shorter, b... there, "
        "...72, longer 72*longer//shorter, bil... here"
    ]


def test_people_read_a_name_and_a_value_a_line() -> None:
    assert MADE.describe() == [
        ("subset", "three, 2 classes"),
        ("splits", "train, val"),
        ("written by", "imagenet-subset 0.1.0"),
        ("pipeline", "pillow on cpu (pillow 13.0.0)"),
        ("pixel rule", "shorter side 256, center crop 224"),
        ("left out", "0 missing, 2 undecodable"),
    ]


@pytest.mark.parametrize("comment", [b"", b"{", b"[1]", b'{"format":"other"}', b"[" * 100_000])
def test_any_other_comment_is_no_provenance(comment: bytes) -> None:
    assert Provenance.from_comment(PATH, comment) is None


@pytest.mark.parametrize("version", [0, 3, -1, None, "2", [1], {"2": 2}])
def test_a_newer_format_says_to_install_a_newer_program(version: object) -> None:
    says = "has format version .*, this program reads versions 1 and 2; install a newer"
    with pytest.raises(ReadError, match=says):
        read(encode_comment({**FIELDS, "format_version": version}))


# Ids that are made of names


def test_only_a_file_whose_ids_are_names_has_the_field_and_the_second_version() -> None:
    named = replace(MADE, by_name=True)
    assert named.to_dict() == {**FIELDS, "format_version": 2, "train_id": "names"}
    assert read(named.to_comment()) == named
    assert read(named.to_comment()).format_version == 2
    assert not read(MADE.to_comment()).by_name
    assert named.describe()[:-1] == MADE.describe()
    assert named.describe()[-1][0] == "train ids"
    assert named.differences(MADE) == [
        "format_version: 2 there, 1 here",
        "train_id: names there, nothing here",
    ]


# Photos that the source had encoded anew


def test_only_a_file_with_photos_encoded_anew_has_the_field_and_the_version_stays() -> None:
    anew = replace(MADE, reencoded=2)
    assert anew.to_dict() == {**FIELDS, "reencoded": 2}
    assert read(anew.to_comment()) == anew
    assert read(MADE.to_comment()).reencoded == 0
    assert anew.describe()[:-1] == MADE.describe()
    line = ("not original", "2 photos were encoded anew by whoever handed them out")
    assert anew.describe()[-1] == line
    assert replace(MADE, reencoded=1).describe()[-1][1].startswith("1 photo was encoded anew")
    assert anew.differences(MADE) == ["reencoded: 2 there, nothing here"]


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "2", None, [2]])
def test_another_count_of_photos_encoded_anew_is_refused(value: object) -> None:
    with pytest.raises(ReadError, match=r"isn't one that a build writes \(reencoded is of another"):
        read(encode_comment({**FIELDS, "reencoded": value}))


@pytest.mark.parametrize("value", ["numbers", "", None, 1, ["names"]])
def test_another_kind_of_ids_is_not_taken_for_names(value: object) -> None:
    with pytest.raises(ReadError, match=r"isn't one that a build writes \(train_id is of another"):
        read(encode_comment({**FIELDS, "format_version": 2, "train_id": value}))
