"""FFCV: its writer's processes store torchvision's crops of PIL images raw in a ``.beton``."""

from __future__ import annotations

from ffcv.fields import RGBImageField
from ffcv.writer import DatasetWriter
from photo_list import task
from PIL import Image
from torch.utils.data import Dataset
from torchvision import transforms


class Photos(Dataset):
    """Photos by place in the list."""

    def __init__(self, paths: list) -> None:
        self.paths = paths
        self.transform = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[Image.Image]:
        return (self.transform(Image.open(self.paths[i]).convert("RGB")),)


if __name__ == "__main__":
    job = task()
    fields = {"image": RGBImageField(write_mode="raw")}
    writer = DatasetWriter(str(job.out), fields, num_workers=job.workers)
    writer.from_indexed_dataset(Photos(job.photos))
