"""`python -m fasterfpn.saliency RUN IMAGE...`: which pixels the scores depend on, as image, map and overlay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import torch

from fasterfpn import cli
from fasterfpn.data.images import read_image
from fasterfpn.engine.checkpoint import checkpoint_path, load_detector
from fasterfpn.errors import InputError
from fasterfpn.models.saliency import saliency
from fasterfpn.report.heat import saliency_triptych


def main(
    run: cli.RunArgument,
    inputs: cli.ImagesArgument,
    class_name: Annotated[str | None, cli.optional("CLASS", name="class")] = None,
    of: Literal["logit", "loss"] = "logit",
    detection: Annotated[int | None, cli.optional("N")] = None,
    out: Annotated[Path | None, cli.optional("FOLDER")] = None,
    device: cli.Device = cli.DEFAULT_DEVICE,
    threads: cli.Threads = None,
) -> None:
    """Draw saliency maps (Simonyan et al. 2013): the gradient of a class with respect to the image's pixels.

    Images that cannot be used are listed at the end, and the exit status is 1.

    Args:
        class_name: the class to explain, summed over its detections (default: the class of the best detection).
        of: explain the class logit, or the classification loss with that class as the truth.
        detection: explain only this detection and its class; 0 is the best one of the image.
        out: folder for the pictures (default: saliency/ in the run folder).
    """
    place = cli.checked_device(device, threads)
    if class_name is not None and detection is not None:
        raise InputError("--class and --detection exclude each other: a detection has its own class")
    if detection is not None and detection < 0:
        raise InputError(f"--detection {detection}: give 0 or more")
    detector = load_detector(run, place)
    if class_name is not None and class_name not in detector.classes:
        raise InputError(f"--class {class_name}: the run knows {', '.join(detector.classes)}")
    label = None if class_name is None else detector.classes.index(class_name) + 1

    def work(image: Path, picture: Path) -> None:
        pixels = read_image(image).to(place).float() / 255  # (3, H, W)
        if detection is not None:
            check_detection(detector, pixels, detection)
        shown = saliency(detector, pixels, label, of, detection)
        saved = cli.save_picture(saliency_triptych(pixels, shown.values), picture)
        best = f"best score {shown.scores.max():.3f}" if len(shown.scores) else "no proposal"
        print(f"{saved}: {of} of {detector.classes[shown.label - 1]}, {len(shown.boxes)} boxes, {best}")

    cli.for_each_image(inputs, checkpoint_path(run).parent / "saliency" if out is None else out, work)


@torch.no_grad()
def check_detection(detector: torch.nn.Module, pixels: torch.Tensor, detection: int) -> None:
    """Raise `InputError` where the image has no such detection."""
    count = len(detector([pixels])[0]["scores"])
    if detection >= count:
        raise InputError(f"--detection {detection}: the image has {count} detections, counted from 0")


if __name__ == "__main__":
    cli.run(main, "python -m fasterfpn.saliency")
