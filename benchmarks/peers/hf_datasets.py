"""Hugging Face datasets: ``map`` into its cache, from there as numpy into a memory map."""

from __future__ import annotations

from datasets import Array3D, Dataset, Features, Image
from photo_list import SHAPE, store_batches, task
from pillow_pool import crop

FEATURES = Features({"pixels": Array3D(SHAPE, "uint8")})


def transform(batch: dict) -> dict:
    """Pixels of a batch of PIL images."""
    return {"pixels": [crop(image) for image in batch["image"]]}


if __name__ == "__main__":
    job = task()
    photos = Dataset.from_dict({"image": [str(path) for path in job.photos]})
    photos = photos.cast_column("image", Image())
    pixels = photos.map(
        transform,
        batched=True,
        batch_size=64,
        num_proc=job.workers,
        remove_columns="image",
        features=FEATURES,
        writer_batch_size=64,
        cache_file_name=f"{job.out}.arrow",
    )
    batches = pixels.with_format("numpy").iter(batch_size=64)
    store_batches(job, (batch["pixels"] for batch in batches))
