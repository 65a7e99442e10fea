"""From trained networks to report.json and report.html: what `train` ends with for one and `reproduce` for all."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fasterfpn.data.dataset import LabelledImages, all_targets
from fasterfpn.data.splits import Splits
from fasterfpn.engine.detections import NAMES, Speed
from fasterfpn.engine.evaluator import without_nan
from fasterfpn.files import write_json, write_text
from fasterfpn.models.detector import Detector
from fasterfpn.report.curves import read_losses
from fasterfpn.report.pictures import chosen
from fasterfpn.report.story import Shown, report_page
from fasterfpn.study.experiment import BASE, CPU, PAPER, Experiment
from fasterfpn.study.figures import (
    BLIND,
    FOUND,
    anchor_figures,
    data_figures,
    gain_figures,
    network_figures,
    saliency_by_class,
    saliency_figures,
    size_factors,
    validation_figures,
)

SHOWN, SHOWN_SCORE = 4, 0.5


@dataclass(frozen=True)
class Run:
    """A trained network, its folder, its detections on the test part and their speed, and how its training went."""

    network: str
    seed: int
    folder: Path
    detector: Detector
    detections: Sequence[Mapping[str, Tensor]]
    speed: Speed
    training: Mapping[str, Any]


def write_report(
    out: Path,
    title: str,
    notes: Sequence[str],
    record: Mapping[str, Any],
    splits: Splits,
    runs: Sequence[Run],
    experiment: Experiment = CPU,
    beside_paper: bool = True,
) -> dict[str, Any]:
    """Write both files into `out` and return the content of report.json. `experiment` has the bins and the draws;
    `beside_paper`: show the paper's figures where the classes are the paper's."""
    classes, targets = splits.test.classes, all_targets(splits.test)
    content: dict[str, Any] = {
        "title": title,
        "notes": list(notes),
        "experiment": record,
        "machine": {
            "device": str(next(runs[0].detector.parameters()).device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "paper": PAPER if beside_paper and set(classes) == PAPER["AP"]["multiscale"].keys() else {},
        "data": data_figures(splits),
        "anchors": {run.network: anchor_figures(splits.train, run.detector.config) for run in runs},
        "saliency_limits": {"found": FOUND, "blind": BLIND},
        "seeds": {},
    }
    samples: dict[str, dict[str, Any]] = {}
    for run in runs:
        figures, drawn = network_figures(
            run.detections,
            targets,
            size_factors(splits.test, run.detector.config),
            classes,
            experiment.short_sides,
            experiment.draws,
        )
        figures |= asdict(run.speed) | {
            "parameters": sum(weight.numel() for weight in run.detector.parameters()),
            "training": run.training,
            "losses": {name: values.tolist() for name, values in read_losses(run.folder / "losses.csv").items()},
            "validation": validation_figures(run.folder),
            "saliency": saliency_figures(run.detector, splits.test, run.seed) if len(runs) > 1 else [],
        }
        figures["saliency_by_class"] = saliency_by_class(figures["saliency"])
        content["seeds"].setdefault(str(run.seed), {"networks": {}, "gains": {}})["networks"][run.network] = figures
        samples.setdefault(str(run.seed), {})[run.network] = drawn
    for seed, entry in content["seeds"].items():
        others = [name for name in entry["networks"] if BASE in entry["networks"] and name != BASE]
        entry["gains"] = {name: gain_figures(samples[seed][name], samples[seed][BASE], classes) for name in others}
    first = [run for run in runs if run.seed == runs[0].seed]
    content["shown"] = shown_figures(splits.test, first)
    content = without_nan(content)
    shown = {run.network: Shown(run.detector, run.detections) for run in first}
    page = report_page(content, splits, shown, [target["labels"] for target in all_targets(splits.train)])
    write_json(out / "report.json", content)
    write_text(out / "report.html", page)
    return content


def shown_figures(dataset: LabelledImages, runs: Sequence[Run]) -> dict[str, Any]:
    """Which test images the page shows (figure 12), and the detections drawn on them."""
    labels = [target["labels"] for target in all_targets(dataset)]
    images = {"one type": chosen(labels, False, SHOWN), "several types": chosen(labels, True, SHOWN)}
    drawn = []
    for index in [index for indices in images.values() for index in indices]:
        found = {
            run.network: [
                {"class": dataset.classes[label - 1], "score": score, "box": box}
                for box, label, score in zip(*(run.detections[index][name].tolist() for name in NAMES), strict=True)
                if score >= SHOWN_SCORE
            ]
            for run in runs
        }
        drawn.append({"index": index, "name": dataset.image_name(index), "detections": found})
    return {"score": SHOWN_SCORE, "images": images, "detections": drawn}
