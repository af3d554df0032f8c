"""Write down what must not change when the code is rearranged: bytes, help texts, a begun build.

::

    $ python tests/golden/make_fixed_points.py               # all of them
    $ python tests/golden/make_fixed_points.py help_texts    # after a change of commands or flags

Made once by an early version, and made anew only where bytes, help or resume are meant to change,
which CHANGELOG.md then says. The photos are those of ``odd.zip``, which every version of Pillow and
libjpeg-turbo decodes to the same pixels. Versions of libraries in a file's provenance are left out
of the hashes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
HASHES = HERE / "fixed_points.json"
HELP = HERE / "help.txt"
BEGUN = HERE / "begun.zip"
WNIDS = ("n12267677", "n01440764")
PIPELINES = ("pillow", "turbo")
JOURNAL_MAGIC = b"imagenet-subset journal 1\n"


def write_tree(root: Path) -> tuple[Path, Path]:
    """Twelve train photos and eight val photos of two classes; data folder and subset file."""
    with zipfile.ZipFile(HERE / "odd.zip") as archive:
        photos = [archive.read(name) for name in archive.namelist()]
    data, lists = root / "Data/CLS-LOC", root / "ImageSets/CLS-LOC"
    lists.mkdir(parents=True)
    (data / "val").mkdir(parents=True)
    lines = []
    for k, wnid in enumerate(sorted(WNIDS)):
        (data / "train" / wnid).mkdir(parents=True)
        first = {"n01440764": 1, "n12267677": 1_266_000}[wnid]
        for n in range(6):
            name = f"{wnid}/{wnid}_{10 * n + k}"
            (data / "train" / f"{name}.JPEG").write_bytes(photos[2 * n + k])
            lines.append(f"{name} {first + n}\n")
    (lists / "train_cls.txt").write_text("".join(lines))
    for n, number in enumerate((293, 2138, 3014, 6697, 1058, 1117, 2139, 2982)):
        name = f"ILSVRC2012_val_{number:08d}.JPEG"
        (data / "val" / name).write_bytes(photos[12 + n])
    subset = root / "two.txt"
    subset.write_text("".join(f"{wnid}\n" for wnid in WNIDS))
    return data, subset


def command(data: Path, subset: Path, out: Path, pipeline: str) -> list[str]:
    """Command line of a build of `write_tree`."""
    return [
        sys.executable, "-m", "imagenet_subset", "--subset_name", str(subset), "--data_dir",
        str(data), "--out_dir", str(out), "--device", "cpu", "--pipeline", pipeline, "--workers",
        "1", "--missing", "skip",
    ]  # fmt: skip


def without_versions(npz: bytes) -> str:
    """SHA-256 of a file whose provenance names no version of a library."""
    with zipfile.ZipFile(io.BytesIO(npz)) as archive:
        comment = archive.comment
    provenance = json.loads(comment)
    del provenance["crc32"]
    provenance["pipeline"]["versions"] = sorted(provenance["pipeline"]["versions"])
    stripped = npz[: -len(comment) - 2] + json.dumps(provenance, sort_keys=True).encode()
    return hashlib.sha256(stripped).hexdigest()


def help_texts() -> str:
    """Help of the program and of each command."""
    env = {**os.environ, "COLUMNS": "100", "SLURM_CPUS_PER_TASK": "1"}
    from imagenet_subset.cli.usage import COMMANDS

    texts = []
    for words in ([], *([name] for name in COMMANDS)):
        done = subprocess.run(
            [sys.executable, "-m", "imagenet_subset", *words, "--help"],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        texts.append(f"$ imagenet-subset {' '.join([*words, '--help'])}\n{done.stdout}")
    return "\n".join(texts)


def journal_without_versions(journal: bytes) -> bytes:
    """Header and entries of a journal as JSON, to be put together again by `journal_for`."""
    length = int.from_bytes(journal[len(JOURNAL_MAGIC) : len(JOURNAL_MAGIC) + 4], "little")
    start = len(JOURNAL_MAGIC) + 8
    header = json.loads(journal[start : start + length])
    header["fingerprint"]["provenance"]["pipeline"]["versions"] = None
    header["source"] = ""
    return json.dumps({"header": header, "entries": journal[start + length :].hex()}).encode()


def journal_for(made: bytes, versions: dict[str, str]) -> bytes:
    """Journal of a build that was begun with these versions of the libraries."""
    import zlib

    value = json.loads(made)
    value["header"]["fingerprint"]["provenance"]["pipeline"]["versions"] = versions
    header = json.dumps(value["header"], sort_keys=True).encode()
    head = len(header).to_bytes(4, "little") + zlib.crc32(header).to_bytes(4, "little")
    return JOURNAL_MAGIC + head + header + bytes.fromhex(value["entries"])


def write_begun(data: Path, subset: Path, out: Path) -> None:
    """Keep an unfinished file, five rows of which are pending, and its journal."""
    lost = sorted((data / "val").iterdir())[3:]
    kept = {path: path.read_bytes() for path in lost}
    for path in lost:
        path.write_bytes(b"damaged")
    done = subprocess.run(command(data, subset, out, "pillow"), capture_output=True, text=True)
    if done.returncode != 1:
        raise RuntimeError(done.stderr)
    for path, content in kept.items():
        path.write_bytes(content)
    with zipfile.ZipFile(BEGUN, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in (
            ("two_cls.npz.partial", (out / "two_cls.npz.partial").read_bytes()),
            (
                "two_cls.npz.journal.json",
                journal_without_versions((out / "two_cls.npz.journal").read_bytes()),
            ),
        ):
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_LZMA)


def main() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data, subset = write_tree(root / "ILSVRC")
        hashes = {}
        for pipeline in PIPELINES:
            subprocess.run(command(data, subset, root / pipeline, pipeline), check=True)
            hashes[pipeline] = without_versions((root / pipeline / "two_cls.npz").read_bytes())
        write_begun(data, subset, root / "begun")
    HASHES.write_text(json.dumps(hashes, indent=2) + "\n")
    HELP.write_text(help_texts())


if __name__ == "__main__":
    if sys.argv[1:] == ["help_texts"]:
        HELP.write_text(help_texts())
    else:
        main()
