"""`python -m fasterfpn.reproduce`: the paper's experiment from data to report.

After a stop, the same command resumes it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from fasterfpn.cli import DEFAULT_DEVICE, Device, Threads, checked_device, optional, run
from fasterfpn.errors import InputError
from fasterfpn.files import OutputError
from fasterfpn.study.experiment import NETWORKS, SCALES
from fasterfpn.study.stages import begun

RESUME = "the same command resumes the experiment"


def main(
    out: Path,
    data: str = "synthetic",
    scale: Literal["cpu", "paper", "tiny"] = "cpu",
    seeds: int = 1,
    first_seed: int = 0,
    ablation: bool = False,
    weights: Annotated[str | None, optional("FILE|URL|NAME|RUN")] = None,
    steps: Annotated[int | None, optional("N")] = None,
    device: Device = DEFAULT_DEVICE,
    threads: Threads = None,
) -> None:
    """Train the multiscale and the single-scale network on the same images and write report.html.

    Args:
        out: folder for everything; call again with the same one to resume after a stop.
        data: "synthetic", or a folder of annotated images, such as the originals.
        scale: cpu is 512x384 on two cores; paper is ResNet-101 and shorter side 960, for a GPU; tiny only shows that
            everything works.
        seeds: how many times both networks are trained, with seeds first-seed, first-seed + 1, ...
        first_seed: the first of them.
        ablation: also train a pyramid without the top-down sums.
        weights: pre-trained weights for every network, as in train, with frozen norms (default: from scratch).
        steps: steps of training, instead of the scale's own number.
    """
    for name, value, least in (("seeds", seeds, 1), ("first-seed", first_seed, 0)):
        if value < least:
            raise InputError(f"--{name} {value}: give {least} or more")
    target = checked_device(device, threads)
    experiment = SCALES[scale]
    if steps is not None:
        experiment = replace(experiment, training=replace(experiment.training, steps=steps))
    if weights is not None:
        backbone = replace(experiment.model.backbone, norm="frozen_batch")
        rates = replace(experiment.learning_rates, chosen="not chosen anew for pre-trained weights")
        experiment = replace(experiment, model=replace(experiment.model, backbone=backbone), learning_rates=rates)
    if data != "synthetic":
        data = str(Path(data).resolve())
    networks = [name for name in NETWORKS if ablation or name != "without top-down"]
    all_seeds = range(first_seed, first_seed + seeds)
    try:
        with begun(out, experiment, scale, data, weights, target) as study:
            for seed in all_seeds:
                for network in networks:
                    study.train(seed, network)
                    study.detect(seed, network)
            print("report", flush=True)
            content = study.publish(all_seeds, networks)
    except OutputError as error:
        raise InputError(f"{error}; {RESUME}") from error
    except (KeyboardInterrupt, SystemExit):
        print(RESUME, file=sys.stderr)
        raise
    for seed, entry in content["seeds"].items():
        for name, network in entry["networks"].items():
            value = network["mAP"]["value"]
            print(f"seed {seed}, {name}: mAP {'-' if value is None else f'{100 * value:.1f} %'}")
    print(f"{out / 'report.html'}, and every number in {out / 'report.json'}")


if __name__ == "__main__":
    run(main, "python -m fasterfpn.reproduce")
