"""The pixel rule: which pixels of a photo become its 224x224 image.

The shorter side becomes 256 and the longer ``256 * longer // shorter``, bilinear with
antialiasing; of that the middle 224x224 is kept. It is what torchvision's ``Resize(256)`` and
``CenterCrop(224)`` do with a PIL image. Another rule would be written here.
"""

from __future__ import annotations

RESIZE = 256
"""Shorter side after scaling."""
CROP = 224
"""Both sides of the finished image."""
PIXEL_RULE = (
    "RGB without EXIF rotation; shorter side 256, longer 256*longer//shorter, bilinear with "
    "antialiasing; center crop 224, offset rounded half to even"
)
"""The rule in a line, for the provenance of a file. It changes when the pixels do."""


def resized_size(width: int, height: int) -> tuple[int, int]:
    """Width and height after scaling, as torchvision's ``Resize(256)`` gives them.

    Examples
    --------
    >>> resized_size(500, 375)
    (341, 256)
    >>> resized_size(3, 5)
    (256, 426)
    """
    if width <= height:
        return RESIZE, RESIZE * height // width
    return RESIZE * width // height, RESIZE


def crop_offset(length: int) -> int:
    """First row or column of the crop out of ``length``, as torchvision's ``CenterCrop(224)``.

    Half a pixel is rounded to the even neighbour, as Python's `round` does it.

    Examples
    --------
    >>> [crop_offset(length) for length in (256, 341, 343, 345)]
    [16, 58, 60, 60]
    """
    return round((length - CROP) / 2)


def crop_box(width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the crop in the scaled image.

    Parameters
    ----------
    width, height : int
        Of the photo before scaling.

    Examples
    --------
    >>> crop_box(500, 375)
    (58, 16, 282, 240)
    """
    scaled_width, scaled_height = resized_size(width, height)
    left, top = crop_offset(scaled_width), crop_offset(scaled_height)
    return left, top, left + CROP, top + CROP


def crop_roi(width: int, height: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where the crop lies in the photo itself: ``(y, x)`` of its start and of its end, in pixels.

    Scaling only this region to 224x224 samples the photo at the same places as scaling the whole
    and cropping then.

    Examples
    --------
    >>> crop_roi(512, 512)
    ((32.0, 32.0), (480.0, 480.0))
    """
    scaled_width, scaled_height = resized_size(width, height)
    left, top, right, bottom = crop_box(width, height)
    return (
        (top * height / scaled_height, left * width / scaled_width),
        (bottom * height / scaled_height, right * width / scaled_width),
    )
