"""Files of a complete class whose photos were numbered in plain order, as they once were."""

from __future__ import annotations

import os
from pathlib import Path

from imagenet_subset import build, verify
from imagenet_subset.demo.photos import jpeg, photo
from imagenet_subset.ilsvrc.classes import class_table
from tests.harness.tiers import thorough

SMALLEST = min(class_table().values(), key=lambda c: c.num_train_images)


@thorough("a complete class")
def test_verify_finds_a_file_with_plainly_sorted_numbers_and_a_new_build_mends_it(
    tmp_path: Path,
) -> None:
    folder, wnid = tmp_path / "CLS-LOC/train" / SMALLEST.wnid, SMALLEST.wnid
    folder.mkdir(parents=True)
    names = [f"{wnid}_{k * k + 3}" for k in range(SMALLEST.num_train_images)]
    for k in range(7):
        (tmp_path / f"{k}.jpg").write_bytes(jpeg(photo(k, 40, 30)))
    for k, name in enumerate(names):
        os.link(tmp_path / f"{k % 7}.jpg", folder / f"{name}.JPEG")
    plain, subset = tmp_path / "plain.txt", tmp_path / "one.txt"
    plain.write_text(
        "".join(
            f"{wnid}/{name} {number}\n"
            for number, name in enumerate(sorted(names), SMALLEST.first_train_id)
        )
    )
    subset.write_text(f"{wnid}\n")

    def made(train_list: Path | None) -> Path:
        return build(
            subset, tmp_path, tmp_path / "out", splits=["train"], train_list=train_list,
            device="cpu", pipeline="pillow", overwrite=True,
        ).npz  # fmt: skip

    wrong = verify(made(plain), tmp_path)
    assert not wrong.ok
    assert "differs from the photo" in wrong.problems[0]
    assert verify(made(None), tmp_path).ok
