"""Datasets of annotated images, and the batches that training draws from them."""

from fasterfpn.data.batches import training_batches
from fasterfpn.data.images import read_image
from fasterfpn.data.splits import Splits

__all__ = ["Splits", "read_image", "training_batches"]
