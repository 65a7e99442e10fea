"""What a detector refuses, before it computes anything: images, targets and class names that it cannot use.

N images; messages name the argument and the entry, as `images[3]`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fasterfpn.types import Target

LOWEST, HIGHEST = -0.5, 1.5  # of pixel values: 0..1, and what a resampling filter or added noise may pass it by


def check_images(images: Sequence[Tensor], like: Tensor) -> None:
    """Raise `ValueError` unless each image is a (3, H, W) tensor in 0..1 of the type and on the device of `like`.

    A batch (N, 3, H, W) counts as N images. Values may lie in LOWEST..HIGHEST: this tells 0..255 and normalised images
    from those in 0..1 that are slightly out of range. A dark 0..255 image, below 1.5 everywhere, is not recognised.
    """
    if isinstance(images, Tensor) and images.dim() == 3:
        raise ValueError("images: a list of images is needed; for a single one, write [image]")
    if not isinstance(images, (Sequence, Tensor)) or len(images) == 0:
        raise ValueError("images: a list of at least one (3, H, W) tensor is needed")
    for index, image in enumerate(images):
        if not isinstance(image, Tensor):
            advice = "torch.from_numpy(array).permute(2, 0, 1).float() / 255 makes one of (H, W, 3) bytes"
            raise ValueError(f"images[{index}]: want a tensor, got {type(image).__name__}; {advice}")
        if image.dim() != 3 or image.shape[0] != 3 or image.numel() == 0:
            raise ValueError(f"images[{index}]: want (3, H, W), channels first, got {tuple(image.shape)}")
        if not image.is_floating_point():
            raise ValueError(f"images[{index}]: want floats in 0..1, got {image.dtype}; write image.float() / 255")
        if (image.dtype, image.device) != (like.dtype, like.device):
            ours, theirs = f"{like.dtype} on {like.device}", f"{image.dtype} on {image.device}"
            raise ValueError(f"images[{index}]: is {theirs}, the network {ours}; write image.to(device, dtype)")
    # One transfer for the whole batch: on a GPU each would wait for all work in its queue.
    limits = torch.stack([torch.stack(image.detach().aminmax()) for image in images]).tolist()  # (N, 2)
    for index, (low, high) in enumerate(limits):
        if not LOWEST <= low <= high <= HIGHEST:  # NaN compares false
            advice = "divide by 255" if low >= 0 else "do not normalise them"
            advice = advice if math.isfinite(high - low) else "give finite values"
            raise ValueError(f"images[{index}]: values must lie in 0..1, these in {low:g}..{high:g}; {advice}")


def check_targets(targets: Sequence[Target], images: int, classes: int) -> None:
    """Raise `ValueError` unless each image has a target: float (G, 4) boxes, x1 < x2, y1 < y2, labels in 1..classes."""
    if isinstance(targets, Mapping):
        raise ValueError("targets: a list of dictionaries is needed; for a single image, write [target]")
    if len(targets) != images:
        raise ValueError(f"targets: {len(targets)} for {images} images")
    for index, target in enumerate(targets):
        if not isinstance(target, Mapping):
            raise ValueError(f"targets[{index}]: want a dictionary, got {type(target).__name__}")
        if missing := {"boxes", "labels"} - target.keys():
            raise ValueError(f"targets[{index}]: {sorted(missing)} missing")
        boxes, labels = target["boxes"], target["labels"]
        for name, value in (("boxes", boxes), ("labels", labels)):
            if not isinstance(value, Tensor):
                raise ValueError(f"targets[{index}]['{name}']: want a tensor, got {type(value).__name__}")
        if boxes.dim() != 2 or boxes.shape[1] != 4 or not boxes.is_floating_point():
            raise ValueError(f"targets[{index}]['boxes']: want float (G, 4), got {boxes.dtype} {tuple(boxes.shape)}")
        if labels.shape != boxes.shape[:1] or labels.dtype != torch.int64:
            raise ValueError(
                f"targets[{index}]['labels']: want int64 ({len(boxes)},), got {labels.dtype} {tuple(labels.shape)}"
            )
        if not bool(boxes.isfinite().all()) or not bool((boxes[:, 2:] > boxes[:, :2]).all()):
            raise ValueError(f"targets[{index}]['boxes']: want finite corners with x1 < x2 and y1 < y2")
        if len(labels) and not 1 <= int(labels.min()) <= int(labels.max()) <= classes:
            raise ValueError(f"targets[{index}]['labels']: want 1..{classes}")


def checked_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """The class names as a tuple, or `ValueError`: at least one, no blank one, none twice (spaces around them aside).

    A bare string is refused: its letters would be taken for classes.
    """
    if isinstance(classes, str):
        raise ValueError(f"classes: want a list of names, got the string {classes!r}; write [{classes!r}]")
    names = tuple(classes)
    if not names:
        raise ValueError("classes: at least one name is needed")
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"classes: {name!r} is no name")
    stripped = [name.strip() for name in names]
    if twice := sorted({name for name in stripped if stripped.count(name) > 1}):
        raise ValueError(f"classes: {', '.join(map(repr, twice))} more than once in {list(names)}")
    return names
