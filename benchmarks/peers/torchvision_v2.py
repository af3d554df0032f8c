"""torchvision's own decoder and transforms.v2 in a DataLoader, batches copied into a memory map."""

from __future__ import annotations

import torch
from photo_list import store_batches, task
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2


class Photos(Dataset):
    """Photos by place in the list."""

    def __init__(self, paths: list) -> None:
        self.paths = paths
        self.transform = v2.Compose([v2.Resize(256, antialias=True), v2.CenterCrop(224)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> torch.Tensor:
        image = decode_image(str(self.paths[i]), ImageReadMode.RGB)
        return self.transform(image).permute(1, 2, 0)


if __name__ == "__main__":
    job = task()
    batches = DataLoader(Photos(job.photos), batch_size=64, num_workers=job.workers)
    store_batches(job, (batch.numpy() for batch in batches))
