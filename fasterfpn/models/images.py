"""From a list of images of any size to one padded batch, and boxes there and back.

N images; image i is (3, Hi, Wi) in 0..1 as given, (3, hi, wi) after resizing; the batch is (N, 3, max hi, max wi),
each image in the upper left corner, zeros (the mean colour, once normalised) to the right and below.

Padding is not free: alone, convolutions see zeros beyond the edge at every layer; beside a larger image they see what
norms and biases make of the zeros. Measured on NEU-DET (mAP of 100 validation images, 64.8 % alone): 63.4 % beside an
image twice as tall, 60.1 % beside one twice as wide; on BCCD 87.2 % alone, 86.8 and 87.2 %. So evaluation batches only
images of one size, where each gives what it gives alone, and training groups portrait and landscape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fasterfpn.models.config import ImageConfig
from fasterfpn.types import Size


@dataclass(frozen=True)
class ImageBatch:
    """pixels (N, 3, H, W); sizes: (hi, wi) of each image in it, without padding; originals: (Hi, Wi) as passed in."""

    pixels: Tensor
    sizes: list[Size]
    originals: list[Size]

    def to_batch(self, boxes: Tensor, image: int) -> Tensor:
        """Boxes (..., 4) of the image as passed in -> boxes of the resized image."""
        return boxes * boxes.new_tensor(self._factors(image))

    def to_original(self, boxes: Tensor, image: int) -> Tensor:
        """Boxes of the resized image -> boxes of the image as passed in."""
        return boxes / boxes.new_tensor(self._factors(image))

    def _factors(self, image: int) -> list[float]:
        (height, width), (old_height, old_width) = self.sizes[image], self.originals[image]
        return [width / old_width, height / old_height] * 2


def network_size(size: Size, config: ImageConfig) -> Size:
    """(h, w) after resizing: the shorter side to `image_min_side`, unless the longer would pass `image_max_side`."""
    scale = min(config.image_min_side / min(size), config.image_max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def prepare_images(images: Sequence[Tensor], config: ImageConfig) -> ImageBatch:
    """Resize (bilinear, antialiased), normalise and pad images that `check_images` accepts."""
    # 1. Resize each image so that its shorter side is `image_min_side` (sec. 4.1): (3, Hi, Wi) -> (3, hi, wi).
    resized, originals = [], [(image.shape[1], image.shape[2]) for image in images]
    sizes = [network_size(size, config) for size in originals]
    for image, size, original in zip(images, sizes, originals, strict=True):
        if size != original:
            image = F.interpolate(image[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
        resized.append(image)
    # 2. A batch (N, 3, H, W) of zeros that holds the largest height and the largest width.
    height, width = (_round_up(max(side), config.pad_multiple) for side in zip(*sizes, strict=True))
    pixels = resized[0].new_zeros(len(resized), 3, height, width)
    # 3. Normalise each image into its upper left corner.
    mean, std = (pixels.new_tensor(value)[:, None, None] for value in (config.image_mean, config.image_std))
    for index, image in enumerate(resized):  # by index: such a slice takes part in gradients, an iterator's does not
        pixels[index, :, : image.shape[1], : image.shape[2]] = (image - mean) / std
    # Channels last: what the convolutions (oneDNN, cuDNN) and the RoI pooling kernel are fastest with.
    return ImageBatch(pixels.contiguous(memory_format=torch.channels_last), sizes, originals)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
