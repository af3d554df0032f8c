"""What the reports of a build have in common, as JSON takes it."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from imagenet_subset.building.plan import BuildPlan


def facts_of(plan: BuildPlan) -> dict[str, Any]:
    """What a plan makes, by which pipeline.

    Keys
    ----
    npz, csv
        Paths of the files.
    subset, splits, images, size
        Name of the subset; splits that are built; images of each; size of the NPZ in bytes.
    pipeline
        ``name``, ``device``, ``why``, ``versions``, ``processes`` and ``batch_size``.
    pixel_rule
        ``resize``, ``crop`` and ``interpolation``.
    missing, undecodable, reencoded, notes
        Images that the source lacks; that are left out as undecodable; whose photos are no
        originals; lines on the photos, for people.
    """
    config = plan.config
    return {
        "npz": os.fspath(plan.output.npz),
        "csv": os.fspath(plan.output.csv),
        "subset": plan.subset.name,
        "splits": list(plan.options.ordered_splits),
        "images": dict(plan.rows),
        "size": plan.layout.size,
        "pipeline": {
            "name": config.name,
            "device": config.device,
            "why": config.why,
            "versions": dict(plan.versions),
            "processes": config.processes,
            "batch_size": config.batch_size,
        },
        "pixel_rule": asdict(plan.options.rule),
        "missing": plan.missing,
        "undecodable": plan.undecodable,
        "reencoded": plan.reencoded,
        "notes": list(plan.notes[1:]),
    }
