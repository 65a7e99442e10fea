"""What a trained network finds on the validation and test part at every threshold, for chapter 14 of the tutorial.

    python -m fasterfpn.train --out runs/demo && python benchmarks/threshold.py runs/demo

writes benchmarks/results/threshold.json: for either part the labels of each image's objects, and for each detection its
image, score, label, outcome (1 true, 0 false) and the label of the object that it lies on (0 for none).
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import tyro

from fasterfpn.data.dataset import LabelledImages
from fasterfpn.data.sources import open_source
from fasterfpn.engine.average_precision import judge_detections
from fasterfpn.engine.checkpoint import load_detector, read_checkpoint
from fasterfpn.engine.evaluator import detect_all
from fasterfpn.geometry import box_iou
from fasterfpn.models.detector import Detector

RESULT = Path(__file__).resolve().parent / "results" / "threshold.json"


def judged(detector: Detector, dataset: LabelledImages) -> dict[str, list]:
    """Return the objects and detections of one part."""
    rows, objects = [], []
    for image, (detected, truth) in enumerate(zip(*detect_all(detector, dataset), strict=True)):
        objects.append(truth["labels"].tolist())
        iou = box_iou(detected["boxes"], truth["boxes"])  # (D, G); every built-in image has an object
        best, place = iou.max(1)
        there = torch.where(best >= 0.5, truth["labels"][place], 0)
        outcome = torch.zeros(len(iou), dtype=torch.int64)
        for label in detected["labels"].unique():
            own, wanted = detected["labels"] == label, truth["labels"] == label
            difficult = torch.zeros(int(wanted.sum()), dtype=torch.bool)
            boxes, scores = detected["boxes"][own], detected["scores"][own]
            outcome[own] = judge_detections(boxes, scores, truth["boxes"][wanted], difficult)
        columns = (detected["scores"].tolist(), *(x.tolist() for x in (detected["labels"], outcome, there)))
        rows += [[image, round(score, 4), *labels] for score, *labels in zip(*columns, strict=True)]
    return {"objects": objects, "detections": rows}


def main(run: tyro.conf.Positional[Path]) -> None:
    """Judge every detection of a run on its validation and test part.

    Args:
        run: a run folder or a checkpoint.
    """
    detector, parts = load_detector(run), open_source(read_checkpoint(run).config.data)
    content = {"classes": detector.classes} | {name: judged(detector, getattr(parts, name)) for name in ("val", "test")}
    RESULT.write_text(json.dumps(content) + "\n", encoding="utf-8")
    print(RESULT)


if __name__ == "__main__":
    tyro.cli(main)
