"""torchvision's transforms in a DataLoader, batches copied into a memory map."""

from __future__ import annotations

import torch
from photo_list import store_batches, task
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Photos(Dataset):
    """Photos by place in the list."""

    def __init__(self, paths: list) -> None:
        self.paths = paths
        self.transform = transforms.Compose(
            [transforms.Resize(256), transforms.CenterCrop(224), transforms.PILToTensor()]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.transform(Image.open(self.paths[i]).convert("RGB")).permute(1, 2, 0)


if __name__ == "__main__":
    job = task()
    batches = DataLoader(Photos(job.photos), batch_size=64, num_workers=job.workers)
    store_batches(job, (batch.numpy() for batch in batches))
