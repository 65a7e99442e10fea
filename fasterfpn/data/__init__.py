"""Datasets of annotated images, and the batches that training draws from them."""

from fasterfpn.data.batches import Batch, batches_per_epoch, training_batches
from fasterfpn.data.config import DataConfig
from fasterfpn.data.dataset import DetectionDataset, LabelledImages, Sample, all_targets, check_images
from fasterfpn.data.images import image_size, list_images, read_image
from fasterfpn.data.splits import Splits, open_data
from fasterfpn.data.transforms import flip

__all__ = [
    "Batch",
    "DataConfig",
    "DetectionDataset",
    "LabelledImages",
    "Sample",
    "Splits",
    "all_targets",
    "batches_per_epoch",
    "check_images",
    "flip",
    "image_size",
    "list_images",
    "open_data",
    "read_image",
    "training_batches",
]
