"""How a file was made: the JSON in an NPZ's archive comment."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_subset.npz.comment import FORMAT, NAMES, encode_comment, read_comment
from imagenet_subset.npz.differences import compare
from imagenet_subset.npz.recorded_choice import choice_fields, read_choice
from imagenet_subset.selection.choice import Names, Recorded
from imagenet_subset.system.text import counted, printable

if TYPE_CHECKING:
    from pipelines.rule import PixelRule


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Provenance:
    """What decides a file's bytes, beside the images.

    Of a file that was read, a field that isn't there has its default here, or is empty; `to_dict`,
    `describe` and `differences` go by what is in the file.
    """

    subset_name: str
    wnids: tuple[str, ...]
    """In the order of the subset file."""
    wnids_sha256: str
    splits: tuple[str, ...]
    """Those that were asked for; another one has no images."""
    pixel_rule: str
    pipeline: str
    """Name of the pipeline that decoded the images."""
    device: str
    """``cpu`` or ``gpu``."""
    versions: Mapping[str, str]
    """Of each package that decides the pixels."""
    program_version: str
    labels: tuple[int, ...] = ()
    """Label of each WNID; by default each has its own."""
    names: tuple[str | None, ...] = ()
    """Of each label, the name that the subset file gives it, None where it gives none; by default
    none at all."""
    missing: int = 0
    """Images that were left out since the source lacks them."""
    undecodable: int = 0
    """Images that were left out since they can't be decoded."""
    reencoded: int = 0
    """Images whose photos were no original files, but encoded anew by who handed them out."""
    by_name: bool = False
    """Whether the train ids are made of the photos' names, and aren't ILSVRC's numbers."""
    choice: Recorded | None = None
    """Which train photos were wanted; None for all."""
    chosen_from: Names | None = None
    """The photos that were chosen from, where they weren't all that ILSVRC has of the classes."""
    as_read: Mapping[str, Any] | None = field(default=None, init=False, repr=False)
    """All fields of a file that was read, also those that this version doesn't know; else None."""

    def __post_init__(self) -> None:
        if not self.labels:
            object.__setattr__(self, "labels", tuple(range(len(self.wnids))))
        if not any(self.names):
            object.__setattr__(self, "names", (None,) * len(set(self.labels)))

    @classmethod
    def from_comment(cls, path: Path, comment: bytes) -> Provenance | None:
        """Provenance in an archive's comment; None for files of other programs.

        Parameters
        ----------
        path
            The file, for messages.
        comment
            Its archive comment.

        Raises
        ------
        ReadError
            A newer version of the program wrote the file, the comment is mangled, or a field that
            is read has another type than a build writes.
        """
        fields = read_comment(path, comment)
        if fields is None:
            return None
        subset, pipeline = fields["subset"], fields.get("pipeline", {})
        left_out = fields.get("left_out", {})
        choice, chosen_from = read_choice(fields["choice"]) if "choice" in fields else (None, None)
        provenance = cls(
            subset_name=subset["name"],
            wnids=tuple(subset["wnids"]),
            wnids_sha256=str(subset.get("wnids_sha256", "")),
            labels=tuple(subset.get("labels", ())),
            names=tuple(subset.get("names", ())),
            splits=tuple(fields.get("splits", ())),
            pixel_rule=str(fields.get("pixel_rule", "")),
            pipeline=pipeline.get("name", ""),
            device=pipeline.get("device", ""),
            versions=pipeline.get("versions", {}),
            program_version=str(fields.get("program_version", "")),
            missing=left_out.get("missing", 0),
            undecodable=left_out.get("undecodable", 0),
            reencoded=fields.get("reencoded", 0),
            by_name="train_id" in fields,
            choice=choice,
            chosen_from=chosen_from,
        )
        object.__setattr__(provenance, "as_read", fields)
        return provenance

    @property
    def format_version(self) -> int:
        """Version of the format that the file has, or needs if it is still to be made."""
        if self.as_read is not None:
            version: int = self.as_read["format_version"]
            return version
        from pipelines.rule import DEFAULT

        another_crop = self.rule is not None and self.rule.crop != DEFAULT.crop
        return 2 if self.by_name or self.has_superclasses or another_crop else 1

    @property
    def has_superclasses(self) -> bool:
        """Whether classes share a label."""
        return len(self.names) < len(self.wnids)

    @property
    def rule(self) -> PixelRule | None:
        """Rule of the pixels; None if this program doesn't know it."""
        from pipelines.rule import PixelRule  # to open a file nothing of `pipelines` is needed

        return PixelRule.from_text(self.pixel_rule)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Provenance) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment] # as of any value with dictionaries in it

    def to_comment(self) -> bytes:
        """Archive comment that carries it."""
        return encode_comment(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Fields as in the archive comment, in its order, but without its CRC-32; a copy."""
        if self.as_read is not None:
            return copy.deepcopy(dict(self.as_read))
        from pipelines.rule import DEFAULT

        choice, rule = self.choice, self.rule
        return {
            **({"choice": choice_fields(choice, self.chosen_from)} if choice else {}),
            "format": FORMAT,
            "format_version": self.format_version,
            "left_out": {"missing": self.missing, "undecodable": self.undecodable},
            "pipeline": {
                "device": self.device,
                "name": self.pipeline,
                "versions": dict(sorted(self.versions.items())),
            },
            "pixel_rule": self.pixel_rule,
            "program_version": self.program_version,
            **({"reencoded": self.reencoded} if self.reencoded else {}),
            **({"rule": asdict(rule)} if rule and rule != DEFAULT else {}),
            "splits": list(self.splits),
            "subset": {
                **({"labels": list(self.labels)} if self.has_superclasses else {}),
                "name": self.subset_name,
                **({"names": list(self.names)} if any(self.names) else {}),
                "wnids": list(self.wnids),
                "wnids_sha256": self.wnids_sha256,
            },
            **({"train_id": NAMES} if self.by_name else {}),
        }

    def describe(self) -> list[tuple[str, str]]:
        """Provenance for people: a name and a value for each line."""
        fields = self.to_dict()
        pipeline = fields.get("pipeline", {})
        versions = ", ".join(f"{name} {v}" for name, v in pipeline.get("versions", {}).items())
        left_out = fields.get("left_out", {})
        lines = [
            ("subset", f"{self.subset_name}, {self._classes}"),
            ("splits", ", ".join(self.splits)),
            ("written by", f"imagenet-subset {fields.get('program_version')}"),
            ("pipeline", f"{pipeline.get('name')} on {pipeline.get('device')} ({versions})"),
            ("pixel rule", str(fields.get("pixel_rule"))),
            ("left out", ", ".join(f"{n} {why}" for why, n in left_out.items())),
        ]
        if self.choice:
            lines.append(("choice", f"{self.choice}{self._out_of}"))
        if self.reencoded:
            were = counted(self.reencoded, "photo was", "photos were")
            lines.append(("not original", f"{were} encoded anew by whoever handed them out"))
        if self.by_name:
            lines.append(("train ids", "negative, made of the photos' names; locate leads to them"))
        return [(name, printable(value)) for name, value in lines]

    @property
    def _classes(self) -> str:
        count = counted(len(self.names), "class", "classes")
        return f"{count} of {len(self.wnids):,} WNIDs" if self.has_superclasses else count

    @property
    def _out_of(self) -> str:
        """What the train photos were chosen from, where that is said."""
        if self.chosen_from is None:
            return ""
        return f", out of {counted(self.chosen_from.photos, 'photo')} and not of all ILSVRC's"

    def differences(self, other: Provenance) -> list[str]:
        """Fields in which another one differs: "--pipeline dali there, pillow here".

        A line each; this one is "there", the other one "here".
        """
        return [str(difference) for difference in compare(self.to_dict(), other.to_dict())]
