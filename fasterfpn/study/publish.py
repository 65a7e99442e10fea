"""From trained networks to report.json and report.html: one report for `train`, with one network, and `reproduce`."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fasterfpn.data.dataset import LabelledImages, all_targets
from fasterfpn.data.splits import Splits
from fasterfpn.engine.config import Config, config_record
from fasterfpn.engine.detections import NAMES, Speed
from fasterfpn.engine.evaluator import without_nan
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.files import write_json, write_text
from fasterfpn.models.detector import Detector
from fasterfpn.report.lettering import spelled_otherwise
from fasterfpn.report.pictures import chosen
from fasterfpn.report.story import Shown, report_page
from fasterfpn.study.bootstrap import DRAWS
from fasterfpn.study.experiment import BASE, NETWORKS
from fasterfpn.study.figures import (
    BLIND,
    FOUND,
    anchor_figures,
    data_figures,
    gain_figures,
    loss_figures,
    measured_speed,
    network_figures,
    saliency_by_class,
    saliency_figures,
    short_side_edges,
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


@dataclass(frozen=True)
class Subject:
    """What a report is about, and what it measures by."""

    title: str
    notes: Sequence[str]
    record: Mapping[str, Any]
    """The settings, for report.json."""
    edges: Sequence[float]
    """Edges of the bins of objects by shorter side, in pixels of the network's input."""
    draws: int = DRAWS
    """Draws of the bootstrap over the test images."""
    numbered: bool = False
    """Whether tables and figures bear the paper's numbers."""
    paper: Mapping[str, Any] = field(default_factory=dict)
    """The paper's own results, to stand beside those of the runs."""


def publish_run(
    folder: RunFolder,
    detector: Detector,
    splits: Splits,
    config: Config,
    detections: Sequence[Mapping[str, Tensor]],
    training: Mapping[str, Any],
) -> None:
    """The report of a single run, in its folder. `detections` are those on the test part, which may be empty.

    Raises `OutputError` where a file cannot be written.
    """
    network = next(name for name, kind in NETWORKS.items() if kind == detector.config.architecture)
    title = f"A {network} detector of {len(detector.classes)} {'class' if len(detector.classes) == 1 else 'classes'}"
    notes, test = list(splits.summary), splits.test
    if len(test):
        speed = measured_speed(detector, test)
    else:
        speed = Speed(float("nan"), str(next(detector.parameters()).device), torch.get_num_threads())
        notes.append("There is no test part, so this report has no results; evaluate judges the run on other data.")
    edges = short_side_edges(all_targets(test), size_factors(test, detector.config))
    run = Run(network, config.training.seed, folder.path, detector, detections, speed, training)
    publish(folder.path, Subject(title, notes, config_record(config), edges), splits, [run])


def publish(out: Path, subject: Subject, splits: Splits, runs: Sequence[Run]) -> dict[str, Any]:
    """Write report.json and report.html into `out` and return the content of report.json.

    Raises `OutputError` where a file cannot be written.
    """
    classes, targets = splits.test.classes, all_targets(splits.test)
    spelling = spelled_otherwise(classes)
    for sentence in spelling:
        print(sentence, flush=True)
    content: dict[str, Any] = {
        "title": subject.title,
        "notes": [*subject.notes, *spelling],
        "experiment": subject.record,
        "machine": {
            "device": str(next(runs[0].detector.parameters()).device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "paper": subject.paper,
        "data": data_figures(splits),
        "anchors": {run.network: anchor_figures(splits.train, run.detector.config) for run in runs},
        "saliency_limits": {"found": FOUND, "blind": BLIND},
        "seeds": {},
    }
    samples: dict[str, dict[str, Any]] = {}
    for run in runs:
        factors = size_factors(splits.test, run.detector.config)
        figures, drawn = network_figures(run.detections, targets, factors, classes, subject.edges, subject.draws)
        figures |= asdict(run.speed) | {
            "parameters": sum(weight.numel() for weight in run.detector.parameters()),
            "training": run.training,
            "losses": loss_figures(RunFolder(run.folder)),
            "validation": validation_figures(RunFolder(run.folder)),
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
    labels = [target["labels"] for target in all_targets(splits.train)]
    page = report_page(content, splits, shown, labels, subject.numbered)
    folder = RunFolder(out)
    write_json(folder.report_figures, content)
    write_text(folder.report_page, page)
    return content


def shown_figures(dataset: LabelledImages, runs: Sequence[Run]) -> dict[str, Any]:
    """Which test images the page shows (figure 12), and the detections drawn on them."""
    labels = [target["labels"] for target in all_targets(dataset)]
    images = {"one class": chosen(labels, False, SHOWN), "several classes": chosen(labels, True, SHOWN)}
    drawn = []
    for index in [index for indices in images.values() for index in indices]:
        detections = {
            run.network: [
                {"class": dataset.classes[label - 1], "score": score, "box": box}
                for box, label, score in zip(*(run.detections[index][name].tolist() for name in NAMES), strict=True)
                if score >= SHOWN_SCORE
            ]
            for run in runs
        }
        drawn.append({"index": index, "name": dataset.image_name(index), "detections": detections})
    return {"score": SHOWN_SCORE, "images": images, "detections": drawn}
