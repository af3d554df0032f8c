"""A small NPZ like a build's, for the tests of what reads one."""

from __future__ import annotations

import argparse
import importlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagenet_subset.npz.comment import encode_comment

WNIDS = ["n12267677", "n02690373", "n09472597"]
PROVENANCE = {
    "format": "imagenet-subset",
    "format_version": 1,
    "program_version": "0.1.0",
    "subset": {"name": "three", "wnids": WNIDS, "wnids_sha256": "0"},
    "splits": ["train", "val"],
    "pixel_rule": "shorter side 256, center crop 224",
    "pipeline": {"name": "pillow", "device": "cpu", "versions": {"pillow": "13.0.0"}},
    "left_out": {"missing": 0, "undecodable": 2},
}
CSV = (
    "subset_label,original_id,WNID,human_label\n"
    "0,327,n12267677,acorn\n1,230,n02690373,airliner\n2,362,n09472597,volcano\n"
)


@pytest.fixture
def write_subset(tmp_path: Path) -> Callable[..., Path]:
    """Write an NPZ, ours (with provenance and CSV) or another program's; its path.

    Image ``i`` of a split is filled with ``i`` in red, ``2 * i`` in green, ``3 * i`` in blue.
    """

    def write(
        y_train: list[int],
        y_val: list[int],
        *,
        ids: dict[str, list[int]] | None = None,
        csv: str | None = CSV,
        foreign: bool = False,
        save: Any = np.savez,
    ) -> Path:
        path = tmp_path / "three_cls.npz"
        arrays: dict[str, Any] = {}
        for split, y in (("train", y_train), ("val", y_val)):
            shades = np.arange(len(y))[:, None] * np.array([1, 2, 3])
            images = np.zeros((len(y), 224, 224, 3), np.uint8) + shades[:, None, None, :]
            arrays[f"X_{split}"] = images.astype(np.uint8)
            arrays[f"y_{split}"] = np.array(y, np.int32)
            arrays[f"{split}_id"] = np.array((ids or {}).get(split, range(1, len(y) + 1)), np.int32)
        save(path, **arrays)
        if not foreign:
            with zipfile.ZipFile(path, "a") as archive:
                archive.comment = encode_comment(PROVENANCE)
        if csv is not None:
            path.with_name("three_cls_metadata.csv").write_text(csv, encoding="utf-8")
        return path

    return write


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command by its own parser; what it printed."""

    def run(name: str, *arguments: object) -> str:
        module = importlib.import_module(f"imagenet_subset.cli.commands.{name}")
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        assert module.run(parser.parse_args([str(argument) for argument in arguments])) == 0
        return capsys.readouterr().out

    return run
