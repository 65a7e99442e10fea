"""The learning rate of each network of `reproduce`: short runs at several rates, judged on the validation part.

    python benchmarks/choose_learning_rate.py --out runs/rates [--scale cpu] [--steps 600] [--rates 0.0005 0.001 0.002]

Writes benchmarks/results/learning_rates.md and .json, from all runs of that length in --out; the test part
is not looked at. What is chosen goes into fasterfpn/study/experiment.py by hand. A run that is in --out already is
not repeated.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import timing
import tyro

from fasterfpn.data.synthetic.request import GENERATOR_VERSION
from fasterfpn.engine.config import config_from_record
from fasterfpn.engine.fit import fit
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.files import write_json
from fasterfpn.models.detector import build_detector
from fasterfpn.study.experiment import NETWORKS, SCALES
from fasterfpn.study.stages import synthetic_data


def main(
    out: Path,
    scale: Literal["cpu", "paper", "tiny"] = "cpu",
    steps: int = 600,
    rates: tuple[float, ...] = (0.0005, 0.001, 0.002),
    networks: tuple[str, ...] = ("multiscale", "single-scale"),
    seed: int = 0,
) -> None:
    """Train the networks at the rates, and write the table.

    Args:
        out: folder for the data and the runs.
        scale: as in reproduce.
        steps: of each run; the schedule is laid out over them.
        rates: highest learning rates to try.
        networks: which of the experiment's.
        seed: of the training.
    """
    experiment = SCALES[scale]
    splits = synthetic_data(experiment, out / "data")
    for network in networks:
        if network not in NETWORKS:
            raise SystemExit(f"--networks {network}: give some of {', '.join(map(repr, NETWORKS))}")
        for rate in rates:
            folder = out / run_name(network, f"{rate:g}", steps, seed)
            config = experiment.config(network, str(out / "data"), seed)
            training = replace(config.training, steps=steps, learning_rate=rate, validations=1)
            config = replace(config, training=training)
            if not (folder / "validation.json").is_file():
                folder.mkdir(parents=True, exist_ok=True)
                detector = build_detector(config.model, splits.train.classes, seed)
                outcome = fit(detector, splits, config, folder)
                write_json(folder / "validation.json", {"mAP": outcome.best_mAP, "seconds": outcome.seconds})
                RunFolder(folder).resume.unlink(missing_ok=True)
            elif config_from_record(json.loads((folder / "config.json").read_text()), str(folder)) != config:
                raise SystemExit(f"{folder}: of another configuration; give a new --out")
    rows = [row for network in NETWORKS for row in measured(out, network, steps, seed)]
    text = (
        f"mAP at IoU 0.5 on the {len(splits.val)} validation images after {steps} steps, the schedule laid out over "
        f"them; scale {scale}, generator {GENERATOR_VERSION}, seed {seed}."
    )
    timing.write_results("learning_rates", "Learning rates of the experiment's networks", text, {"": rows})


def run_name(network: str, rate: str, steps: int, seed: int) -> str:
    """The folder of one run."""
    return f"{network}-{rate}-{steps}-{seed}"


def measured(out: Path, network: str, steps: int, seed: int) -> list[dict[str, object]]:
    """A row for each rate that `out` holds a run of, by rate: those of earlier calls too."""
    found = {}
    for file in out.glob(run_name(network, "*", steps, seed) + "/validation.json"):
        rate = float(file.parent.name.removeprefix(f"{network}-").removesuffix(f"-{steps}-{seed}"))
        found[rate] = 100 * json.loads(file.read_text())["mAP"]
    return [
        {"network": network, "learning rate": f"{rate:g}", "validation mAP [%]": mAP}
        for rate, mAP in sorted(found.items())
    ]


if __name__ == "__main__":
    tyro.cli(main)
