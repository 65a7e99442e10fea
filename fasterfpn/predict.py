"""`python -m fasterfpn.predict RUN IMAGE_OR_FOLDER...`: pictures with the detections drawn in, and the same as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch

from fasterfpn import cli
from fasterfpn.data.images import read_image
from fasterfpn.engine.checkpoint import checkpoint_path, load_detector
from fasterfpn.errors import InputError
from fasterfpn.files import write_json
from fasterfpn.models import Detector
from fasterfpn.report.draw import draw_detections


def main(
    run: cli.RunArgument,
    inputs: cli.ImagesArgument,
    score: float = 0.5,
    out: Annotated[Path | None, cli.optional("FOLDER")] = None,
    device: cli.Device = cli.DEFAULT_DEVICE,
    threads: cli.Threads = None,
) -> None:
    """Detect defects in images: a picture of each image with green boxes, and detections.json.

    Images that cannot be read are listed at the end, and the exit status is 1. After Ctrl-C or SIGTERM,
    detections.json holds the images done so far.

    Args:
        score: the lowest confidence, from 0 to 1, of the detections to draw and write.
        out: folder for the results (default: predictions/ in the run folder).
    """
    if not 0 <= score <= 1:
        raise InputError(f"--score {score}: give a number from 0 to 1")
    place = cli.checked_device(device, threads)
    out = checkpoint_path(run).parent / "predictions" if out is None else out
    if out.is_dir():
        cli.check_writable("--out", out / "detections.json")
    detector = load_detector(run, place)
    detector.box_head.config = replace(detector.box_head.config, score_threshold=0.0)  # --score alone decides
    records: list[dict[str, Any]] = []

    def work(image: Path, picture: Path) -> None:
        records.append(predict_one(detector, image, picture, score))

    def finish(total: int, failed: dict[str, str]) -> None:
        content = {"run": str(run), "score": score, "classes": detector.classes, "images": records}
        write_json(out / "detections.json", content | {"images_given": total, "failed": failed})
        print(report(records, score, out))

    cli.for_each_image(inputs, out, work, finish)


def predict_one(detector: Detector, image: Path, picture: Path, score: float) -> dict[str, Any]:
    """Detect on one image, save its picture, and return its entry of detections.json: boxes x1 y1 x2 y2 in pixels."""
    pixels = read_image(image).float() / 255  # (3, H, W)
    device = next(detector.parameters()).device
    with torch.no_grad():
        result = {name: value.cpu() for name, value in detector([pixels.to(device)])[0].items()}
    passing = result["scores"] >= score
    boxes, labels, scores = (result[name][passing] for name in ("boxes", "labels", "scores"))
    names = [detector.classes[label - 1] for label in labels.tolist()]  # label 0 is the background
    saved = cli.save_picture(draw_detections(pixels, boxes, names, scores), picture)
    detections = [
        {"class": name, "score": round(confidence, 6), "box": [round(coordinate, 3) for coordinate in box]}
        for name, confidence, box in zip(names, scores.tolist(), boxes.tolist(), strict=True)
    ]
    best = round(result["scores"].max().item(), 6) if len(result["scores"]) else None
    return {"image": str(image), "picture": saved.name, "best_score": best, "detections": detections}


def report(records: Sequence[dict[str, Any]], score: float, out: Path) -> str:
    """The number of detections and, where there are none, how far from `score` the best one stayed."""
    count = sum(len(record["detections"]) for record in records)
    hits = sum(bool(record["detections"]) for record in records)
    lines = [f"{count} detections on {hits} of {len(records)} images; pictures and detections.json in {out}"]
    if records and count == 0:
        first = max(records, key=lambda record: record["best_score"] or 0)
        best = "none" if first["best_score"] is None else f"{first['best_score']:.3f} in {first['image']}"
        lines.append(f"nothing passes --score {score:g}; best score: {best}")
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run(main, "python -m fasterfpn.predict")
