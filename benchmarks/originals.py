"""The networks of a finished experiment on real photographs: do they find the defects, and do they name them right?

    python benchmarks/originals.py DIR RUN [RUN ...]

DIR is a folder in the layout of the paper's data set (one image will do), RUN a run folder such as
OUT/seed-0/multiscale. An object counts as found where a detection with a score of --score or more has an IoU of 0.5
with it, as named where one of those has its label. Prints every object, and writes benchmarks/results/originals.json.
Whoever wants to see the boxes calls `python -m fasterfpn.predict RUN DIR`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import tyro

from fasterfpn.data.formats import tianchi
from fasterfpn.data.images import read_image
from fasterfpn.data.refusals import refuse
from fasterfpn.data.tree import Tree, walk
from fasterfpn.engine.checkpoint import load_detector
from fasterfpn.geometry import box_iou

RESULTS = Path(__file__).parent / "results" / "originals.json"


def judge(run: Path, tree: Tree, score: float) -> list[dict[str, Any]]:
    """One entry for each object of `tree`: its kind, and the detections upon it as [label, score], best first."""
    detector = load_detector(run, "cpu")
    entries = []
    reading = tianchi.read(tree, tree)
    refuse(reading.refusals)
    for item in reading.records:
        with torch.no_grad():
            result = detector([read_image(item.image) / 255])[0]
        for truth in item.objects:
            upon = box_iou(torch.tensor([truth.box], dtype=torch.float32), result["boxes"])[0] >= 0.5
            chosen = (upon & (result["scores"] >= score)).nonzero()[:, 0].tolist()
            labels, scores = result["labels"].tolist(), result["scores"].tolist()
            found = [[detector.classes[labels[row] - 1], round(scores[row], 3)] for row in chosen]
            entries.append({"image": item.key, "object": truth.name, "found": found})
    return entries


def main(data: tyro.conf.Positional[Path], runs: tyro.conf.Positional[tuple[Path, ...]], score: float = 0.3) -> None:
    """Judge runs on real photographs.

    Args:
        data: a folder in the layout of the paper's data set.
        runs: run folders.
        score: the least that a detection needs to count.
    """
    tree = walk(data)
    if not tianchi.recognises(tree):
        raise SystemExit(f"{data}: not in the layout of the paper's data set")
    results = {}
    for run in runs:
        entries = judge(run, tree, score)
        name = "/".join(run.resolve().parts[-2:])
        found = sum(bool(entry["found"]) for entry in entries)
        named = sum(any(label == entry["object"] for label, _ in entry["found"]) for entry in entries)
        print(f"{name}: {found} of {len(entries)} objects found, {named} named right")
        for entry in entries:
            print(
                f"    {entry['object']}: {', '.join(f'{label} {value:.2f}' for label, value in entry['found']) or '-'}"
            )
        results[name] = {"objects": len(entries), "found": found, "named": named, "entries": entries}
    content = {"score": score, "torch": torch.__version__, "runs": results}
    RESULTS.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(RESULTS)


if __name__ == "__main__":
    tyro.cli(main)
