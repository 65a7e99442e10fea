"""Writes the report of trained networks, report.json and report.html: of one network for `train`, of several for
`reproduce`.

report.json holds every number of the page. Its "seeds" maps each seed to {"networks": {name: results}, "gains": {name:
gains over the single-scale network}}.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from fasterfpn.data.dataset import LabelledImages, all_targets
from fasterfpn.data.splits import Splits
from fasterfpn.engine.config import Config, config_record
from fasterfpn.engine.detections import NAMES, Speed
from fasterfpn.engine.evaluator import without_nan
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.tables import LOSSES
from fasterfpn.files import write_json, write_text
from fasterfpn.models.detector import Detector
from fasterfpn.report.lettering import spelled_otherwise
from fasterfpn.report.pictures import chosen
from fasterfpn.report.story import report_page
from fasterfpn.study import metrics
from fasterfpn.study.bootstrap import DRAWS
from fasterfpn.study.experiment import BASE, NETWORKS
from fasterfpn.types import Detections

SHOWN, SHOWN_SCORE = 4, 0.5
"""At most so many test images of a kind are shown, with the detections that have this confidence or more."""


@dataclass(frozen=True)
class Run:
    """A trained network of the report, with its detections on the test part."""

    network: str
    """Its name in NETWORKS."""
    seed: int
    folder: RunFolder
    detector: Detector
    detections: Sequence[Detections]
    speed: Speed
    training: Mapping[str, Any]
    """How the training went: steps, seconds, ..."""


def publish_run(
    folder: RunFolder,
    detector: Detector,
    splits: Splits,
    config: Config,
    detections: Sequence[Detections],
    training: Mapping[str, Any],
) -> None:
    """Write the report of a single run into its folder. `detections` are those on the test part, which may be empty.

    Raises `OutputError` where a file cannot be written.
    """
    network = next(name for name, kind in NETWORKS.items() if kind == detector.config.architecture)
    title = f"A {network} detector of {len(detector.classes)} {'class' if len(detector.classes) == 1 else 'classes'}"
    notes, test = list(splits.summary), splits.test
    if len(test):
        speed = metrics.measured_speed(detector, test)
    else:
        speed = Speed(float("nan"), str(next(detector.parameters()).device), torch.get_num_threads())
        notes.append("There is no test part, so this report has no results; evaluate judges the run on other data.")
    edges = metrics.short_side_edges(all_targets(test), metrics.size_factors(test, detector.config))
    run = Run(network, config.training.seed, folder, detector, detections, speed, training)
    publish(folder.path, splits, [run], title=title, notes=notes, settings=config_record(config), edges=edges)


def publish(
    out: Path,
    splits: Splits,
    runs: Sequence[Run],
    *,
    title: str,
    notes: Sequence[str],
    settings: Mapping[str, Any],
    edges: Sequence[float],
    draws: int = DRAWS,
    numbered: bool = False,
    paper: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write report.json and report.html into `out` and return the content of report.json.

    `notes` are paragraphs under the title. Objects are put into bins by shorter side, with `edges` in pixels of the
    network's input; `draws` is the number of draws of the bootstrap. `numbered` gives tables and figures the paper's
    numbers, and `paper` holds the paper's own results, shown next to those of the runs.
    Raises `OutputError` where a file cannot be written.
    """
    classes = splits.test.classes
    spelling = spelled_otherwise(classes)
    for sentence in spelling:
        print(sentence, flush=True)
    content: dict[str, Any] = {
        "title": title,
        "notes": [*notes, *spelling],
        "experiment": settings,
        "machine": {
            "device": str(next(runs[0].detector.parameters()).device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "paper": paper or {},
        "data": metrics.data_metrics(splits),
        "anchors": {run.network: metrics.anchor_metrics(splits.train, run.detector.config) for run in runs},
        "saliency_limits": {"found": metrics.FOUND, "blind": metrics.BLIND},
        "seeds": {},
    }
    samples: dict[str, dict[str, metrics.Samples]] = {}
    for run in runs:
        results, drawn = run_results(run, splits.test, edges, draws)
        saliency = metrics.saliency_metrics(run.detector, splits.test, run.seed) if len(runs) > 1 else []
        results |= {"saliency": saliency, "saliency_by_class": metrics.saliency_by_class(saliency)}
        content["seeds"].setdefault(str(run.seed), {"networks": {}, "gains": {}})["networks"][run.network] = results
        samples.setdefault(str(run.seed), {})[run.network] = drawn
    for seed, by_network in samples.items():
        others = {name: drawn for name, drawn in by_network.items() if BASE in by_network and name != BASE}
        gains = {name: metrics.gain_metrics(drawn, by_network[BASE], classes) for name, drawn in others.items()}
        content["seeds"][seed]["gains"] = gains
    first = {run.network: run for run in runs if run.seed == runs[0].seed}
    detections = {name: run.detections for name, run in first.items()}
    content["shown"] = shown_detections(splits.test, detections)
    content = without_nan(content)
    detectors = {name: run.detector for name, run in first.items()}
    page = report_page(content, splits, detectors, detections, numbered)
    folder = RunFolder(out)
    write_json(folder.report_figures, content)
    write_text(folder.report_page, page)
    return content


def run_results(
    run: Run, test: LabelledImages, edges: Sequence[float], draws: int
) -> tuple[dict[str, Any], metrics.Samples]:
    """How one network was trained, its size and speed, its results on the test part; and the samples of the results."""
    factors = metrics.size_factors(test, run.detector.config)
    results, samples = metrics.network_metrics(run.detections, all_targets(test), factors, test.classes, edges, draws)
    losses, validations = run.folder.losses(), run.folder.validations()
    results |= asdict(run.speed) | {
        "parameters": sum(weight.numel() for weight in run.detector.parameters()),
        "training": run.training,
        "losses": {name: losses[name] for name in ("step", *LOSSES)},
        "validation": [(int(step), mAP) for step, mAP in zip(validations["step"], validations["mAP_area"])],
    }
    return results, samples


def shown_detections(dataset: LabelledImages, by_network: Mapping[str, Sequence[Detections]]) -> dict[str, Any]:
    """Which test images the page shows (figure 12), and each network's detections drawn on them."""
    labels = [target["labels"] for target in all_targets(dataset)]
    images = {"one class": chosen(labels, False, SHOWN), "several classes": chosen(labels, True, SHOWN)}
    drawn = []
    for index in [index for indices in images.values() for index in indices]:
        shown = {
            network: [
                {"class": dataset.classes[label - 1], "score": score, "box": box}
                for box, label, score in zip(*(detections[index][name].tolist() for name in NAMES), strict=True)
                if score >= SHOWN_SCORE
            ]
            for network, detections in by_network.items()
        }
        drawn.append({"index": index, "name": dataset.image_name(index), "detections": shown})
    return {"score": SHOWN_SCORE, "images": images, "detections": drawn}
