"""The paper's experiment in stages, each done once: images, a training for each seed and network, detections, report.

OUT gets experiment.json, data/ (synthetic images), seed-S/NETWORK/ (a run folder with training.json and
detections.safetensors), report.json and report.html. A stage counts as done once its last file is there: a training its
training.json, the detections their own file. A training that was stopped is resumed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

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
from fasterfpn.engine.migrations import migrate
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.errors import InputError
from fasterfpn.files import LOCK, exclusive, remove_unfinished, write_json, writing
from fasterfpn.models.detector import build_detector
from fasterfpn.study.experiment import NETWORKS, PAPER, Experiment
from fasterfpn.study.metrics import data_metrics, measured_speed
from fasterfpn.study.publish import Run, publish

PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Study:
    """An experiment on given images in the folder `out`."""

    out: Path
    experiment: Experiment
    record: dict[str, Any]
    """The settings that make it this experiment and no other; in experiment.json."""
    splits: Splits
    data: str
    """Where the images lie, for the runs' configurations."""
    weights: str | None
    device: torch.device

    def train(self, seed: int, network: str) -> None:
        """Train one network in its run folder, or the rest of it where an earlier training was stopped."""
        run = RunFolder(run_path(self.out, seed, network))
        adopt_unfinished(run.path)
        with writing(run.path):
            run.path.mkdir(parents=True, exist_ok=True)
        with run.held():
            if (run.path / "training.json").exists():
                print(f"{run.path}: done before", flush=True)
                return
            print(f"{run.path}", flush=True)
            config = self.experiment.config(network, self.data, seed)
            train_network(run, config, self.splits, self.weights, self.device)

    def detect(self, seed: int, network: str) -> None:
        """Detect on the test part with one trained network, and time it."""
        folder = run_path(self.out, seed, network)
        file = folder / "detections.safetensors"
        if file.exists():
            print(f"{file}: done before", flush=True)
            return
        print(f"{file}", flush=True)
        detector = load_detector(folder, self.device)
        speed = measured_speed(detector, self.splits.test)
        save_detections(file, detect_all(detector, self.splits.test)[0], speed)

    def publish(self, seeds: Sequence[int], networks: Sequence[str]) -> dict[str, Any]:
        """Write the report on all of them, and return the content of report.json."""
        runs = []
        for seed in seeds:
            for network in networks:
                folder = run_path(self.out, seed, network)
                training = read_json(folder / "training.json")
                detections, speed = load_detections(folder / "detections.safetensors")
                detector = load_detector(folder, self.device)
                runs.append(Run(network, seed, RunFolder(folder), detector, detections, speed, training))
        classes = self.splits.test.classes
        return publish(
            self.out,
            self.splits,
            runs,
            title=f"Multiscale and single-scale Faster R-CNN on {len(classes)} kinds of defect",
            notes=notes(self.experiment, self.record),
            settings=self.record,
            edges=self.experiment.short_sides,
            draws=self.experiment.draws,
            numbered=True,
            paper=PAPER if set(classes) == PAPER["AP"]["multiscale"].keys() else {},
        )


@contextmanager
def begun(
    out: Path, experiment: Experiment, scale: str, data: str, weights: str | None, device: torch.device
) -> Iterator[Study]:
    """Begin the experiment of `scale` in `out`, or resume it there, and hold the folder for this process.

    `data` is "synthetic", whose images are made where they are missing, or a folder of annotated images. Raises
    `InputError` where the images do not serve, where `out` holds something else or an experiment with other settings,
    and where another process works there.
    """
    record = experiment.record() | {"scale": scale, "data": data, "weights": weights}
    if data == "synthetic":
        record |= {"generator": GENERATOR_VERSION}
    else:
        splits = checked_data(data)
        record |= {"parts": splits.digest()}
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is no folder; give a new one")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    with exclusive(out):
        check_settings(out, record)
        if data == "synthetic":
            splits = synthetic_data(experiment, out / "data")
            data = str((out / "data").resolve())
        yield Study(out, experiment, record, splits, data, weights, device)


def run_path(out: Path, seed: int, network: str) -> Path:
    """The run folder of one network's training with one seed."""
    return out / f"seed-{seed}" / network.replace(" ", "-")


def check_settings(out: Path, record: dict[str, Any]) -> None:
    """Write experiment.json into an empty `out`, or check that what it holds was begun with the same settings.

    The path of the data may be another: they may have been moved, and `parts` or `generator` tells them apart.
    """
    path = out / "experiment.json"
    record = json.loads(json.dumps(record))
    if not path.is_file():
        if any(entry.name != LOCK for entry in out.iterdir()):
            raise InputError(f"{out}: holds something else already; give a new folder")
        write_json(path, record)
        return
    earlier = migrated(read_json(path))
    names = sorted((record.keys() | earlier.keys()) - {"data"})
    changed = [name for name in names if record.get(name) != earlier.get(name)]
    if changed:
        raise InputError(f"{out}: was begun with other settings ({', '.join(changed)}); give a new folder")


def migrated(record: dict[str, Any]) -> dict[str, Any]:
    """A record as this version writes it; fasterfpn 0.1 named the generator by a hash of its source."""
    if record.get("generator") == "f3121c37635e":  # it made the pictures of version 1
        record = record | {"generator": "1"}
    return record | migrate({"model": record.get("model")})


def read_json(path: Path) -> dict[str, Any]:
    """What an earlier call wrote. Raises `InputError` for a damaged file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove {path.parent}, or give another folder") from error
    return content


def checked_data(data: str) -> Splits:
    """The parts of a folder. Raises `InputError` where the training part lacks a class, or another part is empty."""
    splits = open_source(DataConfig(data=data))
    print(splits.report(), flush=True)
    counts = data_metrics(splits)
    missing = [name for name, count in counts["train"]["objects_by_class"].items() if count == 0]
    if missing:
        raise InputError(f"{data}: no object of {', '.join(missing)} in the training part; add images that show some")
    for part in ("val", "test"):
        if counts[part]["images"] == 0:
            raise InputError(f"{data}: its {part} part holds no image; add images or name the parts")
    return splits


def synthetic_data(experiment: Experiment, folder: Path) -> Splits:
    """Three folders in the originals' layout, each of a seed of its own, made where they are missing.

    The test part has clean labels and enough boxes of every class; the others have the paper's frequencies. What a
    killed process left half-written is removed.
    """
    if folder.is_dir():
        with writing(folder):
            remove_unfinished(folder)
    for number, (part, images) in enumerate(zip(PARTS, experiment.images, strict=True)):
        if not (folder / part).exists():
            noise, deck = (False, "balanced") if part == "test" else (experiment.label_noise, "paper")
            seed = len(PARTS) * experiment.data_seed + number
            write_images(folder / part, images, Request(seed, "real", experiment.image_size, deck, noise))
    return open_source(DataConfig(data=str(folder)), ALUMINIUM_CLASSES)


def adopt_unfinished(folder: Path) -> None:
    """Take over a training that an earlier version of this program left under the name .NETWORK.partial."""
    earlier = folder.with_name(f".{folder.name}.partial")
    if earlier.is_dir() and not folder.exists():
        with writing(folder):
            earlier.rename(folder)


def train_network(run: RunFolder, config: Config, splits: Splits, weights: str | None, device: torch.device) -> None:
    """Train in `run`, a folder that this process holds; training.json is written last."""
    detector = build_detector(config.model, splits.train.classes, config.training.seed)
    if not run.resume.exists():
        clear(run.path)  # stopped too early to be resumed
        if weights is not None:
            print(load_initial_weights(detector, weights))
    outcome = fit(detector.to(device), splits, config, run.path)
    place = {"threads": torch.get_num_threads(), "device": str(device)}
    write_json(run.path / "training.json", without_nan(asdict(outcome)) | place)
    run.resume.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Remove everything in a folder except its lock."""
    with writing(folder):
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()


def notes(experiment: Experiment, record: dict[str, Any]) -> list[str]:
    """What a reader must know before the metrics."""
    lines = [
        "After Wei and Bi, Materials 2019, 12, 1681. The networks differ in architecture and learning rate, and the "
        "single-scale one's one level hands as many proposals to NMS as the five of a pyramid."
    ]
    if record["data"] == "synthetic":
        height, width = experiment.image_size
        lines.append(
            f"The images are synthetic: {width}x{height} pixels, made by the generator of version "
            f"{record['generator']}, seed {experiment.data_seed}; "
            "no number here says how either network does on real profiles."
        )
        if width < 1280:
            lines.append(
                f"A stride of 16 pixels at {width} pixels of width is like a stride of {16 * 1280 / width:.0f} at the "
                "paper's 1280, so the single-scale network suffers more here than in the paper."
            )
    rates = [f"{name} {experiment.learning_rates.of(name):g}" for name in NETWORKS]
    lines.append(f"Learning rates: {', '.join(rates)}; {experiment.learning_rates.chosen}.")
    if record["scale"] == "tiny":
        lines.append("At this scale nothing is learnt: it only shows that every part works.")
    return lines
