"""The networks of a finished synthetic experiment on a larger test part: narrower intervals for the same weights.

    python benchmarks/larger_test.py OUT [--images 2000]

OUT is a folder of `python -m fasterfpn.reproduce --data synthetic --scale cpu`. New images are drawn with a seed that
no part of the experiment has, under its test part's rules (clean labels, enough boxes of every type), and every network
found there is judged on them. Nothing is chosen by the outcome: no training, no threshold, no checkpoint. Prints mAP
and AP by the objects' shorter side in the network's input with 95 % intervals (bootstrap over images), and the gains
over the single-scale network on the same draws of images; writes benchmarks/results/larger_test.json.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
import tyro

from fasterfpn.data.config import DataConfig
from fasterfpn.data.dataset import LabelledImages, all_targets
from fasterfpn.data.sources import open_source
from fasterfpn.data.synthetic.classes import ALUMINIUM_CLASSES
from fasterfpn.data.synthetic.folders import write_images
from fasterfpn.data.synthetic.request import GENERATOR_VERSION, Request
from fasterfpn.engine.checkpoint import load_detector
from fasterfpn.engine.evaluator import detect_all
from fasterfpn.study.experiment import BASE, CPU, NETWORKS
from fasterfpn.study.metrics import gain_metrics, network_metrics, size_factors
from fasterfpn.study.stages import run_path

KEPT = ("images", "objects", "mAP", "AP", "by_short_side")


def draw(folder: Path, images: int, seed: int) -> LabelledImages:
    """A test part of `images` new images; its folder also holds the two others that a data set must have, unused."""
    for part, count in (("train", 20), ("valid", 1), ("test", images)):
        write_images(folder / part, count, Request(seed, "real", CPU.image_size, "balanced"))
    return open_source(DataConfig(data=str(folder)), ALUMINIUM_CLASSES).test


def judge(out: Path, test: LabelledImages, seed: int) -> dict[str, Any]:
    """The figures of every network trained with one seed, and their gains over the single-scale one."""
    targets, figures, samples = all_targets(test), {}, {}
    for network in NETWORKS:
        folder = run_path(out, seed, network)
        if folder.is_dir():
            print(folder, flush=True)
            detector = load_detector(folder, "cpu")
            factors = size_factors(test, detector.config)
            detections, _ = detect_all(detector, test)
            content, samples[network] = network_metrics(
                detections, targets, factors, test.classes, CPU.short_sides, CPU.draws
            )
            figures[network] = {name: content[name] for name in KEPT}
    others = {name: some for name, some in samples.items() if BASE in samples and name != BASE}
    gains = {name: gain_metrics(some, samples[BASE], test.classes) for name, some in others.items()}
    return {"networks": figures, "gains": gains}


def with_bounds(entry: dict[str, float | None]) -> str:
    """An interval's figures in per cent; "-" where there is nothing to measure."""
    if entry["value"] is None:
        return "-"
    return "{value:.1f} [{low:.1f}, {high:.1f}]".format(**{name: 100 * one for name, one in entry.items()})


def main(out: tyro.conf.Positional[Path], images: int = 2000, data_seed: int = 1000) -> None:
    """Judge the networks of OUT on more images.

    Args:
        out: folder of a finished experiment.
        images: how many to draw.
        data_seed: of the images; the experiment's own are 0, 1 and 2.
    """
    record = json.loads((out / "experiment.json").read_text(encoding="utf-8"))
    if record["scale"] != "cpu" or record.get("generator") != GENERATOR_VERSION:
        raise SystemExit(f"{out}: not an experiment at scale cpu with this version's synthetic images")
    if data_seed < 3:
        raise SystemExit(f"--data-seed {data_seed}: the experiment's own images; give 3 or more")
    with tempfile.TemporaryDirectory() as folder:
        test = draw(Path(folder) / "data", images, data_seed)
        seeds = sorted(int(one.name.removeprefix("seed-")) for one in out.glob("seed-*"))
        results = {str(seed): judge(out, test, seed) for seed in seeds}
    for seed, result in results.items():
        for network, one in result["networks"].items():
            print(f"seed {seed}, {network}: mAP {with_bounds(one['mAP'])}")
            for index, side in enumerate(one["by_short_side"]):
                gain = result["gains"].get(network)
                more = f", gain {with_bounds(gain['by_short_side'][index])}" if gain else ""
                reach = f"{side['low']:g}-{side['high'] or ''}"
                print(f"    {reach:>6} px, {side['objects']:4} objects: {with_bounds(side['AP'])}{more}")
    content = {"torch": torch.__version__, "generator": GENERATOR_VERSION, "images": images, "data_seed": data_seed}
    target = Path(__file__).parent / "results" / "larger_test.json"
    target.write_text(json.dumps(content | {"seeds": results}, indent=1) + "\n", encoding="utf-8")
    print(target)


if __name__ == "__main__":
    tyro.cli(main)
