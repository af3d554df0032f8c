"""How quick turbo and Pillow are by other rules than the default, on one core.

::

    python benchmarks/sizes.py

Photos of ImageNet's usual size, in memory, pixels dropped. The rules take turns for several rounds,
and each is compared with the default within its round, so that a machine whose speed drifts doesn't
tilt the table. Printed are medians: milliseconds a photo, and photos a second as a multiple of what
the same pipeline makes by the default rule.
"""

from __future__ import annotations

import statistics
import time

from imagenet_subset.checking.rates import usual_photos
from pipelines.choice import resolve
from pipelines.request import PipelineRequest
from pipelines.rule import DEFAULT, PixelRule

RULES = [
    DEFAULT,
    PixelRule(72, 64),
    PixelRule(584, 512),
    *(PixelRule(256, 224, name) for name in ("bicubic", "lanczos", "box", "nearest")),
    *(PixelRule(size, crop, "bicubic") for size, crop in ((72, 64), (584, 512))),
]
ROUNDS = 7
PHOTOS = 120


def main() -> None:
    """Run all rounds and print the table."""
    photos = usual_photos(24) * (PHOTOS // 24)
    print("| pipeline | resize | crop | interpolation | ms | rate, default = 1 |")
    print("|---|---|---|---|---|---|")
    for name in ("turbo", "pillow"):
        opened = [resolve(PipelineRequest("cpu", name, rule=rule), 1).open() for rule in RULES]
        rounds: list[list[float]] = []
        for _ in range(ROUNDS + 1):
            rounds.append([])
            for pipeline in opened:
                start = time.process_time()
                for _batch in pipeline.run(enumerate(photos)):
                    pass
                rounds[-1].append((time.process_time() - start) / len(photos))
        for k, rule in enumerate(RULES):
            seconds = statistics.median(times[k] for times in rounds[1:])
            ratio = statistics.median(times[0] / times[k] for times in rounds[1:])
            what = f"{rule.resize} | {rule.crop} | {rule.interpolation}"
            print(f"| {name} | {what} | {seconds * 1000:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
