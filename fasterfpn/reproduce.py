"""`python -m fasterfpn.reproduce`: the paper's experiment from data to report, in stages that are done once.

OUT gets experiment.json, data/ (synthetic images), seed-S/NETWORK/ (a run folder with detections.safetensors), and
report.html with report.json. A stage appears when it is complete; a second call goes on after the last complete one.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import torch

from fasterfpn.cli import checked_device, run
from fasterfpn.data.config import DataConfig
from fasterfpn.data.sources import open_source
from fasterfpn.data.splits import Splits
from fasterfpn.data.synthetic.classes import ALUMINIUM_CLASSES
from fasterfpn.data.synthetic.folders import write_images
from fasterfpn.data.synthetic.request import GENERATOR_VERSION, Request
from fasterfpn.engine.checkpoint import load_detector
from fasterfpn.engine.config import Config
from fasterfpn.engine.detections import load_detections, save_detections
from fasterfpn.engine.evaluator import detect_all, without_nan
from fasterfpn.engine.fit import fit
from fasterfpn.engine.initial_weights import load_initial_weights
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.errors import InputError
from fasterfpn.files import write_json
from fasterfpn.models.detector import build_detector
from fasterfpn.study.experiment import NETWORKS, SCALES, Experiment
from fasterfpn.study.figures import data_figures, measured_speed
from fasterfpn.study.run_report import Run, write_report

PARTS = ("train", "valid", "test")


def main(
    out: Path,
    data: str = "synthetic",
    scale: Literal["cpu", "paper", "tiny"] = "cpu",
    seeds: int = 1,
    first_seed: int = 0,
    ablation: bool = False,
    weights: str | None = None,
    steps: int | None = None,
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
    threads: int | None = None,
) -> None:
    """Train the multiscale and the single-scale network on the same images and write report.html.

    Args:
        out: folder for everything; call again with the same one to go on after a stop.
        data: "synthetic", or a folder of annotated images, such as the originals.
        scale: cpu is 512x384 on two cores; paper is ResNet-101 and shorter side 960, for a GPU; tiny only shows that
            everything works.
        seeds: how many times both networks are trained, with seeds first-seed, first-seed + 1, ...
        first_seed: the first of them.
        ablation: also train a pyramid without the top-down sums.
        weights: pre-trained weights for every network, as in train, with frozen norms (default: from scratch).
        steps: steps of training, instead of the scale's own number.
        device: cpu, cuda, cuda:1, ...
        threads: CPU threads (default: torch's choice).
    """
    for name, value, least in (("seeds", seeds, 1), ("first-seed", first_seed, 0), ("threads", threads or 1, 1)):
        if value < least:
            raise InputError(f"--{name} {value}: give {least} or more")
    if threads is not None:
        torch.set_num_threads(threads)
    target = checked_device(device)
    experiment = SCALES[scale]
    if steps is not None:
        experiment = replace(experiment, training=replace(experiment.training, steps=steps))
    if weights is not None:
        backbone = replace(experiment.model.backbone, norm="frozen_batch")
        rates = replace(experiment.learning_rates, chosen="not chosen anew for pre-trained weights")
        experiment = replace(experiment, model=replace(experiment.model, backbone=backbone), learning_rates=rates)
    if data != "synthetic":
        data = str(Path(data).resolve())
        splits = checked_data(data)
    record = experiment.record() | {"scale": scale, "data": data, "weights": weights}
    record |= {"generator": GENERATOR_VERSION} if data == "synthetic" else {"parts": splits.digest()}
    begin(out, record)
    if data == "synthetic":
        splits = synthetic_data(experiment, out / "data")
        data = str((out / "data").resolve())
    networks = [name for name in NETWORKS if ablation or name != "without top-down"]
    for seed in range(first_seed, first_seed + seeds):
        for network in networks:
            folder = run_folder(out, seed, network)
            config = experiment.config(network, data, seed)
            whole(folder, lambda partial, config=config: train_one(partial, config, splits, weights, target))
            whole(folder / "detections.safetensors", lambda file, folder=folder: detect(file, folder, splits, target))
    print("report", flush=True)
    runs = []
    for seed in range(first_seed, first_seed + seeds):
        for network in networks:
            folder = run_folder(out, seed, network)
            training = read_json(folder / "training.json")
            detections, speed = load_detections(folder / "detections.safetensors")
            runs.append(Run(network, seed, folder, load_detector(folder, device), detections, speed, training))
    title = f"Multiscale and single-scale Faster R-CNN on {len(splits.test.classes)} kinds of defect"
    content = write_report(out, title, notes(experiment, record), record, splits, runs, experiment)
    for seed, entry in content["seeds"].items():
        for name, one in entry["networks"].items():
            value = one["mAP"]["value"]
            print(f"seed {seed}, {name}: mAP {'-' if value is None else f'{100 * value:.1f} %'}")
    print(f"{out / 'report.html'}, and every number in {out / 'report.json'}")


def run_folder(out: Path, seed: int, network: str) -> Path:
    """Of one network's training with one seed."""
    return out / f"seed-{seed}" / network.replace(" ", "-")


def begin(out: Path, record: dict[str, Any]) -> None:
    """Make `out`, or check that what it holds was begun with the same settings."""
    path = out / "experiment.json"
    record = json.loads(json.dumps(record))
    if path.is_file():
        earlier = read_json(path)
        changed = [key for key in sorted(record.keys() | earlier.keys()) if record.get(key) != earlier.get(key)]
        if changed:
            raise InputError(f"--out {out}: was begun with other settings ({', '.join(changed)}); give a new folder")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out}: holds something else already; give a new folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be made ({error.strerror})") from error
    write_json(path, record)


def read_json(path: Path) -> dict[str, Any]:
    """What an earlier call wrote. Raises `InputError` where it is not that."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove {path.parent}, or give another --out") from error
    return content


def checked_data(data: str) -> Splits:
    """The parts of a folder. Raises `InputError` where the training part lacks a class, or another part is empty."""
    splits = open_source(DataConfig(data=data))
    print(splits.report(), flush=True)
    figures = data_figures(splits)
    missing = [name for name, count in figures["train"]["objects_by_class"].items() if count == 0]
    if missing:
        raise InputError(f"{data}: no object of {', '.join(missing)} in the training part; add images that show some")
    for part in ("val", "test"):
        if figures[part]["images"] == 0:
            raise InputError(f"{data}: its {part} part holds no image; add images or name the parts")
    return splits


def synthetic_data(experiment: Experiment, folder: Path) -> Splits:
    """Three folders in the originals' layout, each of a seed of its own, made where they are not there yet.

    The test part has clean labels and enough boxes of every type; the others have the paper's frequencies.
    """
    for number, (part, images) in enumerate(zip(PARTS, experiment.images, strict=True)):
        if not (folder / part).exists():
            noise, deck = (False, "balanced") if part == "test" else (experiment.label_noise, "paper")
            seed = len(PARTS) * experiment.data_seed + number
            write_images(folder / part, images, Request(seed, "real", experiment.image_size, deck, noise))
    return open_source(DataConfig(data=str(folder)), ALUMINIUM_CLASSES)


def whole(path: Path, make: Callable[[Path], None]) -> None:
    """Let `make` write `path`, a file or a folder, under another name, and rename it once it is complete; nothing is
    done where it exists. `make` meets what an earlier call that was stopped has left there."""
    if path.exists():
        print(f"{path}: done before", flush=True)
        return
    partial = path.with_name(f".{path.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    print(f"{path}", flush=True)
    make(partial)
    os.replace(partial, path)


def train_one(folder: Path, config: Config, splits: Splits, weights: str | None, device: torch.device) -> None:
    """One network's run folder; where its training was stopped, the rest of it."""
    detector = build_detector(config.model, splits.train.classes, config.training.seed)
    if not RunFolder(folder).resume.exists():
        if folder.exists():
            shutil.rmtree(folder)  # stopped too early to go on
        folder.mkdir()
        if weights is not None:
            print(load_initial_weights(detector, weights))
    try:
        outcome = fit(detector.to(device), splits, config, folder)
    except KeyboardInterrupt:
        print("the same command goes on from there", file=sys.stderr)
        raise
    said = {"threads": torch.get_num_threads(), "device": str(device)}
    write_json(folder / "training.json", without_nan(asdict(outcome)) | said)
    RunFolder(folder).resume.unlink(missing_ok=True)


def detect(file: Path, folder: Path, splits: Splits, device: torch.device) -> None:
    """The test part's detections, and the time for one image."""
    detector = load_detector(folder, device)
    speed = measured_speed(detector, splits.test)
    save_detections(file, detect_all(detector, splits.test)[0], speed)


def notes(experiment: Experiment, record: dict[str, Any]) -> list[str]:
    """What a reader must know before the figures."""
    said = [
        "After Wei and Bi, Materials 2019, 12, 1681. The networks differ in architecture and learning rate, and the "
        "single-scale one's one level hands as many proposals to NMS as the five of a pyramid."
    ]
    if record["data"] == "synthetic":
        height, width = experiment.image_size
        said.append(
            f"The images are synthetic: {width}x{height} pixels, made by the generator of version "
            f"{record['generator']}, seed {experiment.data_seed}; "
            "no figure here says how either network does on real profiles."
        )
        if width < 1280:
            said.append(
                f"A stride of 16 pixels at {width} pixels of width is like a stride of {16 * 1280 / width:.0f} at the "
                "paper's 1280, so the single-scale network suffers more here than in the paper."
            )
    rates = [f"{name} {experiment.learning_rates.of(name):g}" for name in NETWORKS]
    said.append(f"Learning rates: {', '.join(rates)}; {experiment.learning_rates.chosen}.")
    if record["scale"] == "tiny":
        said.append("At this scale nothing is learnt: it only shows that every part works.")
    return said


if __name__ == "__main__":
    run(main, "python -m fasterfpn.reproduce")
