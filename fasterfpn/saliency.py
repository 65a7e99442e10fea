"""`python -m fasterfpn.saliency RUN IMAGE...`: where the network looks, as pictures of image, map and overlay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from tqdm import tqdm

from fasterfpn.cli import checked_device, find_images, picture_paths
from fasterfpn.cli import run as run_command
from fasterfpn.data.images import read_image
from fasterfpn.engine.checkpoint import checkpoint_path, load_detector
from fasterfpn.errors import InputError
from fasterfpn.models.saliency import saliency
from fasterfpn.report.heat import saliency_triptych


def main(
    run: tyro.conf.Positional[Path],
    inputs: tyro.conf.Positional[tuple[Path, ...]],
    class_name: Annotated[str | None, tyro.conf.arg(name="class")] = None,
    of: Literal["logit", "loss"] = "logit",
    detection: int | None = None,
    out: Path | None = None,
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
) -> None:
    """Saliency maps (Simonyan et al. 2013): the gradient of a class with respect to the image's pixels.

    Args:
        run: a run folder, or a checkpoint file.
        inputs: images, and folders that are searched for images.
        class_name: the class in question, summed over its detections (default: that of the best detection).
        of: the class logit, or the classification loss with that class as the truth.
        detection: only this detection, 0 being the best of the image, about its own class.
        out: folder for the pictures (default: saliency/ in the run folder).
        device: cpu, cuda, cuda:1, ...
    """
    checked_device(device)
    if class_name is not None and detection is not None:
        raise InputError("--class and --detection exclude each other: a detection has its own class")
    if detection is not None and detection < 0:
        raise InputError(f"--detection {detection}: give 0 or more")
    detector = load_detector(run, device)
    if class_name is not None and class_name not in detector.classes:
        raise InputError(f"--class {class_name}: the run knows {', '.join(detector.classes)}")
    label = None if class_name is None else detector.classes.index(class_name) + 1
    out = checkpoint_path(run).parent / "saliency" if out is None else out
    images = find_images(inputs, out)
    pictures = picture_paths(images, out)
    for image in tqdm(images, desc="check", unit="image", leave=False):
        pixels = read_image(image)  # before anything is written: one that does not decode stops here
        if detection is not None:
            check_detection(detector, pixels.to(device) / 255, detection, image)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for image, picture in zip(images, pictures, strict=True):
            pixels = read_image(image).to(device).float() / 255
            shown = saliency(detector, pixels, label, of, detection)
            saliency_triptych(pixels, shown.values).save(picture, quality=92, subsampling=0)
            best = f"best score {shown.scores.max():.3f}" if len(shown.scores) else "no proposal"
            print(f"{picture}: {of} of {detector.classes[shown.label - 1]}, {len(shown.boxes)} boxes, {best}")
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror or error}); give another folder") from error


@torch.no_grad()
def check_detection(detector: torch.nn.Module, pixels: torch.Tensor, detection: int, image: Path) -> None:
    """Raise `InputError` where the image has no such detection."""
    count = len(detector([pixels])[0]["scores"])
    if detection >= count:
        raise InputError(f"--detection {detection}: {image} has {count} detections, counted from 0")


if __name__ == "__main__":
    run_command(main, "python -m fasterfpn.saliency")
