"""`python -m fasterfpn.train`: trains a detector and writes its report.

The run folder gets config.json, losses.csv, validation.csv, model.safetensors (best on validation), last.safetensors,
metrics.json (results on the test part), and report.html with report.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import torch
import tyro

from fasterfpn.cli import DEFAULT_DEVICE, Device, Threads, checked_device, optional, run
from fasterfpn.data.dataset import check_images
from fasterfpn.data.refusals import refuse
from fasterfpn.data.sources import open_source
from fasterfpn.data.splits import Splits
from fasterfpn.engine.checkpoint import load_detector, stopped_training
from fasterfpn.engine.config import DEMO, PRESETS, Config, Preset
from fasterfpn.engine.evaluator import detect_all, summary, summary_table, without_nan
from fasterfpn.engine.fit import fit
from fasterfpn.engine.initial_weights import load_initial_weights
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.trainer import Outcome
from fasterfpn.errors import InputError
from fasterfpn.files import OutputError, lock_holder, write_json
from fasterfpn.models.detector import Detector, build_detector
from fasterfpn.study.publish import publish_run

MAIN_JOB = "this takes about 5 minutes on two cores (AVX2, float32), less where the processor multiplies bfloat16"


def train(
    config: Config,
    out: Path | None = None,
    device: str = "cpu",
    weights: str | None = None,
    threads: int | None = None,
    resume: Path | None = None,
) -> None:
    """Train on `config.data` and evaluate on its test part, in the run folder `out` (default: the next runs/NNN).

    `resume` is the folder of a stopped run to complete there; `config` is then replaced by that run's.
    """
    target = checked_device(device, threads)
    with ExitStack() as locks:
        if resume is not None:
            folder = RunFolder(resume)
            locks.enter_context(folder.held())
            check_stopped(folder)
            config, _ = stopped_training(folder.resume)
        elif out is not None:
            check_free(RunFolder(out))
        if weights is None and resume is None and config.model.backbone.norm == "frozen_batch":
            raise InputError(
                "norm frozen_batch cannot train from scratch: give --weights FILE|URL|imagenet, or --norm group"
            )
        if config.model.backbone.norm == "batch" and config.training.batch_size == 1:
            raise InputError(
                "norm batch needs several images to average over: give --batch-size 2 or more, or --norm group"
            )
        if config == DEMO and target.type == "cpu" and resume is None:
            print(MAIN_JOB, flush=True)
        if config.data.data != "synthetic":  # so that evaluate finds it from anywhere
            config = replace(config, data=replace(config.data, data=str(Path(config.data.data).resolve())))
        # A run was checked for copies as it began; that its data are the same since, its resume file tells.
        splits = open_source(config.data if resume is None else replace(config.data, allow_copies=True))
        if len(splits.train) == 0:
            raise InputError(f"{config.data.data}: no image to train on; all are in its val or test part")
        print(splits.report(), flush=True)
        detector = build_detector(config.model, splits.train.classes, config.training.seed)
        if weights is not None:
            print(load_initial_weights(detector, weights))
        detector.to(target)
        # Images that do not decode are refused here, all in one message, before anything is written.
        refuse([problem for part in (splits.train, splits.val, splits.test) for problem in check_images(part)])
        if resume is None:
            folder = RunFolder(out) if out is not None else RunFolder.next_in(Path("runs"))
            locks.enter_context(folder.begun())
        with advice_after_stop(folder):
            outcome = fit(detector, splits, config, folder.path)
            finish(load_detector(folder.path, device), splits, config, outcome, folder)
        folder.resume.unlink(missing_ok=True)


def check_free(folder: RunFolder) -> None:
    """Raise `InputError` if a new run would overwrite files, with advice on resuming a run found there."""
    try:
        folder.check_free()
    except InputError as error:
        if folder.resume.is_file() and not lock_holder(folder.path):
            raise InputError(f"{error}; {advice(folder)}") from error
        raise


def check_stopped(folder: RunFolder) -> None:
    """Raise `InputError` with advice if the folder holds no stopped run."""
    if folder.resume.is_file():
        return
    if folder.metrics.exists():
        raise InputError(f"--resume {folder.path}: holds no {folder.resume.name}, since its training is finished")
    raise InputError(f"--resume {folder.path}: {advice(folder)}")


def advice(folder: RunFolder) -> str:
    """Say what to do after a stop, given the files in the folder."""
    if not folder.path.is_dir():
        return f"the folder {folder.path} is gone, and the run with it; start again"
    if not folder.resume.is_file():
        try:
            folder.check_free()
        except InputError:
            return f"{folder.path} holds no {folder.resume.name} to resume from; start again with a new --out"
        return f"{folder.path} holds no {folder.resume.name}: nothing was saved; start again with --out {folder.path}"
    try:
        _, progress = stopped_training(folder.resume)
        return f"--resume {folder.path} continues after step {progress.step}"
    except InputError as error:
        return f"--resume will not work: {error}"


@contextmanager
def advice_after_stop(folder: RunFolder) -> Iterator[None]:
    """Give `advice` when a signal or a failed write stops the block."""
    try:
        yield
    except OutputError as error:
        raise InputError(f"{error}; {advice(folder)}") from error
    except OSError as error:  # from a library that writes files itself
        path = error.filename or folder.path
        raise InputError(f"{path}: {error.strerror or error}; {advice(folder)}") from error
    except (KeyboardInterrupt, SystemExit):
        print(advice(folder), file=sys.stderr)
        raise


def finish(detector: Detector, splits: Splits, config: Config, outcome: Outcome, folder: RunFolder) -> None:
    """Evaluate on the test part: write metrics.json, print the table of results, and write the report."""
    device = next(detector.parameters()).device
    detections, targets = detect_all(detector, splits.test)
    metrics = summary(detections, targets, detector.classes)
    training = without_nan(asdict(outcome)) | {"threads": torch.get_num_threads(), "device": str(device)}
    write_json(folder.metrics, {"test": without_nan(metrics), "training": training})
    print(f"{outcome.steps} steps in {outcome.seconds:.0f} s; weights of step {outcome.best_step} (best on validation)")
    print(summary_table(metrics))
    publish_run(folder, detector, splits, config, detections, training)
    print(f"{folder.report_page}: the report; the weights are in {folder.best}, the results in {folder.metrics}")


def default_preset(arguments: Sequence[str]) -> Preset:
    """Return the preset that `--preset` names; by default demo for the built-in images and small for a folder."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", choices=sorted(PRESETS))
    parser.add_argument("--data", default="synthetic")
    options = parser.parse_known_args(arguments)[0]
    return options.preset or ("demo" if options.data == "synthetic" else "small")


def command(preset: Preset):
    """Return the command's main function, with the values of `preset` as defaults."""

    def main(
        config: Annotated[Config, tyro.conf.OmitArgPrefixes] = PRESETS[preset],
        preset: Preset = preset,
        out: Annotated[Path | None, optional("FOLDER")] = None,
        device: Device = DEFAULT_DEVICE,
        weights: Annotated[str | None, optional("FILE|URL|NAME|RUN")] = None,
        threads: Threads = None,
        resume: Annotated[Path | None, optional("RUN")] = None,
    ) -> None:
        """Train a detector; without arguments, the demo preset on built-in pictures of aluminium profiles.

        Args:
            config: every field of the configuration.
            preset: sets all defaults. demo (for the built-in pictures) and small (for folders) learn on two CPU cores;
                paper is the paper's recipe for a GPU, torchvision that of torchvision's detector.
            out: the run folder to make (default: the next free runs/NNN).
            weights: a ResNet's or torchvision detector's state dict (file or URL), "imagenet", or an earlier run.
            resume: the folder of a stopped run, to complete it there with its own configuration.
        """
        if resume is not None and (out is not None or weights is not None or config != PRESETS[preset]):
            raise InputError(
                f"--resume {resume}: uses the settings of that run; drop --out, --weights and the fields of "
                "the configuration"
            )
        if resume is None:
            print(f"preset {preset}")
        train(config, out, device, weights, threads, resume)

    return main


if __name__ == "__main__":
    run(command(default_preset(sys.argv[1:])), "python -m fasterfpn.train", sys.argv[1:])
