"""The pixel rule: which pixels of a photo become its image. Only this module knows its numbers."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import Literal, get_args

Interpolation = Literal["bilinear", "bicubic", "lanczos", "box", "nearest"]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
"""How a photo can be scaled: Pillow's filters, by torchvision's names."""

SMALLEST_CROP = 8
"""A smaller image shows nothing."""
LARGEST_RESIZE = 2048
"""A larger one is 13 MB and more, and each photo would be blown up several times."""


@dataclass(frozen=True, slots=True)
class PixelRule:
    """The shorter side becomes ``resize``, and of that the middle ``crop`` x ``crop`` is kept.

    The longer side becomes ``resize * longer // shorter``; scaling is antialiased, except by
    ``nearest``. It is what torchvision's ``Resize(resize, interpolation)`` and ``CenterCrop(crop)``
    do with a PIL image.

    Raises
    ------
    ValueError
        A size is out of its limits, or the interpolation isn't known.
    """

    resize: int = 256
    """Shorter side after scaling: `LARGEST_RESIZE` at most."""
    crop: int = 224
    """Both sides of the finished image: from `SMALLEST_CROP` to ``resize``."""
    interpolation: Interpolation = "bilinear"
    """How a photo is scaled."""

    def __post_init__(self) -> None:
        sides = {"resize": self.resize, "crop": self.crop}
        if not all(map(_is_whole, sides.values())):
            raise ValueError(
                f"resize and crop are whole numbers, not {self.resize!r}, {self.crop!r}"
            )
        for name, side in sides.items():  # NumPy's are no JSON
            object.__setattr__(self, name, operator.index(side))
        if self.resize > LARGEST_RESIZE:
            raise ValueError(f"resize is at most {LARGEST_RESIZE}, not {self.resize}")
        if self.crop < SMALLEST_CROP:
            raise ValueError(f"crop is {SMALLEST_CROP} or more, not {self.crop}")
        if self.crop > self.resize:
            raise ValueError(
                f"crop is at most the shorter side, and {self.crop} is more than a resize of "
                f"{self.resize}: give both"
            )
        if self.interpolation not in INTERPOLATIONS:
            *others, last = INTERPOLATIONS
            raise ValueError(
                f"interpolation is {', '.join(others)} or {last}, not {self.interpolation!r}"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a finished image: height, width, channels."""
        return self.crop, self.crop, 3

    @property
    def nbytes(self) -> int:
        """Size of a finished image."""
        return self.crop * self.crop * 3

    @property
    def text(self) -> str:
        """The rule in a line, for the provenance of a file. It changes when the pixels do."""
        smooth = "" if self.interpolation == "nearest" else " with antialiasing"
        return (
            f"RGB without EXIF rotation; shorter side {self.resize}, longer {self.resize}*longer//"
            f"shorter, {self.interpolation}{smooth}; center crop {self.crop}, offset rounded half "
            "to even"
        )

    @classmethod
    def from_text(cls, text: str) -> PixelRule | None:
        """Rule that has this text; None if none has.

        Examples
        --------
        >>> PixelRule.from_text(PixelRule(72, 64).text)
        PixelRule(resize=72, crop=64, interpolation='bilinear')
        >>> PixelRule.from_text("shorter side 256, center crop 224") is None
        True
        """
        found = re.search(r"side (\d+),.*//shorter, (\w+)\b.*; center crop (\d+),", text)
        try:
            made = cls(int(found[1]), int(found[3]), found[2]) if found else None  # type: ignore[arg-type]
        except ValueError:
            return None
        return made if made and made.text == text else None

    def resized_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after scaling, as torchvision's ``Resize`` gives them.

        Examples
        --------
        >>> DEFAULT.resized_size(500, 375)
        (341, 256)
        >>> DEFAULT.resized_size(3, 5)
        (256, 426)
        """
        if width <= height:
            return self.resize, self.resize * height // width
        return self.resize * width // height, self.resize

    def crop_offset(self, length: int) -> int:
        """First row or column of the crop out of ``length``, as torchvision's ``CenterCrop``.

        Half a pixel is rounded to the even neighbour, as Python's `round` does it.

        Examples
        --------
        >>> [DEFAULT.crop_offset(length) for length in (256, 341, 343, 345)]
        [16, 58, 60, 60]
        """
        return round((length - self.crop) / 2)

    def crop_box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the crop in the scaled image.

        Parameters
        ----------
        width, height : int
            Of the photo before scaling.

        Examples
        --------
        >>> DEFAULT.crop_box(500, 375)
        (58, 16, 282, 240)
        """
        scaled_width, scaled_height = self.resized_size(width, height)
        left, top = self.crop_offset(scaled_width), self.crop_offset(scaled_height)
        return left, top, left + self.crop, top + self.crop

    def crop_roi(self, width: int, height: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Where the crop lies in the photo itself: ``(y, x)`` of its start and of its end.

        In pixels. Scaling only this region to the crop's size samples the photo at the same places
        as scaling the whole and cropping then.

        Examples
        --------
        >>> DEFAULT.crop_roi(512, 512)
        ((32.0, 32.0), (480.0, 480.0))
        """
        scaled_width, scaled_height = self.resized_size(width, height)
        left, top, right, bottom = self.crop_box(width, height)
        return (
            (top * height / scaled_height, left * width / scaled_width),
            (bottom * height / scaled_height, right * width / scaled_width),
        )


def _is_whole(side: object) -> bool:
    return hasattr(side, "__index__") and not isinstance(side, bool)


DEFAULT = PixelRule()
"""The rule of every build that asks for no other."""
