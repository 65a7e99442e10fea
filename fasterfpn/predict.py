"""`python -m fasterfpn.predict RUN IMAGE_OR_FOLDER...`: pictures with the detections drawn in, and the same as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import tyro
from tqdm import tqdm

from fasterfpn.cli import checked_device, find_images, picture_paths
from fasterfpn.cli import run as run_command
from fasterfpn.data.images import read_image
from fasterfpn.engine.checkpoint import checkpoint_path, load_detector
from fasterfpn.errors import InputError
from fasterfpn.files import write_json
from fasterfpn.models import Detector
from fasterfpn.report.draw import draw_detections


def main(
    run: tyro.conf.Positional[Path],
    inputs: tyro.conf.Positional[tuple[Path, ...]],
    score: float = 0.5,
    out: Path | None = None,
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
) -> None:
    """Detect defects in images: a picture of each with green boxes, and detections.json.

    Args:
        run: a run folder, or a checkpoint file.
        inputs: images, and folders that are searched for images.
        score: draw and write detections from this confidence on.
        out: folder for the results (default: predictions/ in the run folder).
        device: cpu, cuda, cuda:1, ...
    """
    if not 0 <= score <= 1:
        raise InputError(f"--score {score}: give a number from 0 to 1")
    checked_device(device)
    out = checkpoint_path(run).parent / "predictions" if out is None else out
    detector = load_detector(run, device)
    detector.box_head.config = replace(detector.box_head.config, score_threshold=0.0)  # --score alone decides
    images = find_images(inputs, out)
    pictures = picture_paths(images, out)
    for image in tqdm(images, desc="check", unit="image", leave=False):
        read_image(image)  # before anything is written: one that does not decode stops here
    try:
        out.mkdir(parents=True, exist_ok=True)
        records = [
            predict_one(detector, image, picture, score)
            for image, picture in zip(tqdm(images, desc="detect", unit="image"), pictures, strict=True)
        ]
        content = {"run": str(run), "score": score, "classes": detector.classes, "images": records}
        write_json(out / "detections.json", content)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror or error}); give another folder") from error
    print(report(records, score, out))


def predict_one(detector: Detector, image: Path, picture: Path, score: float) -> dict[str, Any]:
    """Detect on one image, save its picture, and return its entry of detections.json: boxes x1 y1 x2 y2 in pixels."""
    pixels = read_image(image).float() / 255
    device = next(detector.parameters()).device
    with torch.no_grad():
        result = {name: value.cpu() for name, value in detector([pixels.to(device)])[0].items()}
    passing = result["scores"] >= score
    boxes, labels, scores = (result[name][passing] for name in ("boxes", "labels", "scores"))
    names = [detector.classes[label - 1] for label in labels.tolist()]
    draw_detections(pixels, boxes, names, scores).save(picture, quality=95, subsampling=0)
    detections = [
        {"class": name, "score": round(confidence, 6), "box": [round(coordinate, 3) for coordinate in box]}
        for name, confidence, box in zip(names, scores.tolist(), boxes.tolist(), strict=True)
    ]
    best = round(result["scores"].max().item(), 6) if len(result["scores"]) else None
    return {"image": str(image), "picture": picture.name, "best_score": best, "detections": detections}


def report(records: Sequence[dict[str, Any]], score: float, out: Path) -> str:
    """What was found, and how far from `score` the best one stayed where nothing was."""
    count = sum(len(record["detections"]) for record in records)
    hits = sum(bool(record["detections"]) for record in records)
    lines = [f"{count} detections on {hits} of {len(records)} images; pictures and detections.json in {out}"]
    if count == 0:
        first = max(records, key=lambda record: record["best_score"] or 0)
        best = "none" if first["best_score"] is None else f"{first['best_score']:.3f} in {first['image']}"
        lines.append(f"nothing passes --score {score:g}; best score: {best}")
    return "\n".join(lines)


if __name__ == "__main__":
    run_command(main, "python -m fasterfpn.predict")
