"""`python -m fasterfpn.train` from the outside: the main path on a tiny scale, and bad input."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from fasterfpn import train as train_module
from fasterfpn.data.config import DataConfig
from fasterfpn.data.sources import open_source
from fasterfpn.data.synthetic.folders import write_images
from fasterfpn.data.synthetic.request import Request
from fasterfpn.engine import trainer as trainer_module
from fasterfpn.engine.config import SMALL, Config, config_from_record
from fasterfpn.engine.evaluator import detect_all

TINY = [
    *("--steps", "4", "--batch-size", "2", "--validations", "1", "--image-min-side", "64", "--image-max-side", "128"),
    *("--width", "16", "--pyramid-channels", "16", "--box-hidden", "16", "--threads", "1", "--device", "cpu"),
]


def command(module, *arguments, cwd):
    line = [sys.executable, "-m", f"fasterfpn.{module}", *map(str, arguments)]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A working folder with VOC data and a run on it."""
    folder = tmp_path_factory.mktemp("work")
    write_images(folder / "data", 12, Request(3, size=(64, 96)), workers=1, progress=False)
    done = command("train", "--data", "data", "--out", "run", *TINY, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def small_config(data, **training):
    """As TINY, for calls within this process."""
    small = SMALL.model
    model = replace(
        small,
        image=replace(small.image, image_min_side=64, image_max_side=96),
        backbone=replace(small.backbone, width=16, pyramid_channels=16),
        box=replace(small.box, box_hidden=16),
    )
    return Config(model, DataConfig(data=data), replace(SMALL.training, batch_size=2, validations=2, **training))


def test_a_run_leaves_its_report(trained):
    folder, output = trained
    names = {path.name for path in (folder / "run").iterdir()}
    assert names >= {"config.json", "losses.csv", "losses.png", "validation.csv", "metrics.json", "pictures"}
    assert names >= {"model.safetensors", "last.safetensors", "report.html", "report.json"}
    assert list((folder / "run" / "pictures").glob("*.jpg"))
    assert "mean" in output and "12 images, " in output
    config = json.loads((folder / "run" / "config.json").read_text())
    assert config["training"]["steps"] == 4 and config["model"]["backbone"]["width"] == 16


def test_evaluate_gives_the_figures_of_training_from_the_checkpoint_alone(trained, tmp_path):
    folder, _ = trained
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((folder / "run" / "model.safetensors").read_bytes())
    done = command("evaluate", alone, "--json", tmp_path / "figures.json", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    expected = json.loads((folder / "run" / "metrics.json").read_text())["test"]
    assert {name: figures[name] for name in expected} == expected


def test_the_test_part_is_detected_on_once_and_the_steps_that_minutes_made_are_recorded(monkeypatch, tmp_path):
    parts = []

    def recorded(detector, dataset, *arguments, **options):
        parts.append(dataset)
        return detect_all(detector, dataset, *arguments, **options)

    for module in (train_module, trainer_module):
        monkeypatch.setattr(module, "detect_all", recorded)
    splits = []
    monkeypatch.setattr(train_module, "open_source", lambda config: splits.append(open_source(config)) or splits[0])
    write_images(tmp_path / "data", 12, Request(3, size=(64, 96)), workers=1, progress=False)
    config = small_config(str(tmp_path / "data"), minutes=0.01)
    train_module.train(config, out=tmp_path / "run")
    assert [part is splits[0].test for part in parts] == [False, True]  # 25 steps, the fewest: one validation
    written, metrics = (json.loads((tmp_path / "run" / f"{name}.json").read_text()) for name in ("config", "metrics"))
    assert written["training"]["steps"] == metrics["training"]["steps"] and written["training"]["minutes"] is None


@pytest.mark.parametrize("data", ["synthetic", "all kinds", "one kind"])
def test_the_papers_figures_stand_beside_its_own_kind_of_data_only(data, monkeypatch, tmp_path):
    folder = tmp_path / "folder"
    write_images(folder, 12, Request(3, size=(64, 96)), workers=1, progress=False)
    if data == "one kind":
        for path in (folder / "Annotations").iterdir():
            path.write_text(re.sub(r"<object>\s*<name>[^<]*", "<object><name>jet", path.read_text()))
    few = open_source(DataConfig(data=str(folder)))  # instead of the hundreds of built-in images
    assert len(few.train.classes) == (1 if data == "one kind" else 10)
    monkeypatch.setattr(train_module, "open_source", lambda config: few)
    train_module.train(small_config(data if data == "synthetic" else str(folder), steps=4), out=tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert bool(report["paper"]) == (data == "all kinds")


def test_a_stopped_run_is_resumed_with_its_own_settings(trained, tmp_path, monkeypatch):
    folder, _ = trained
    config = config_from_record(json.loads((folder / "run" / "config.json").read_text()), "config.json")
    monkeypatch.setattr(trainer_module, "RESUME_SECONDS", 0)
    monkeypatch.setattr(trainer_module, "batches_per_epoch", lambda *arguments: 3)
    step, out = trainer_module.Trainer.step, tmp_path / "run"

    def stop_at_the_last(self, batch):
        if self.budget.done == 3:
            raise KeyboardInterrupt
        return step(self, batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer_module.Trainer, "step", stop_at_the_last)
        train_module.train(config, out=out, threads=1)
    (out / "own.txt").write_text("not ours")
    train_module.train(SMALL, threads=1, resume=out)
    names = {path.name for path in out.iterdir()}
    assert names == {path.name for path in (folder / "run").iterdir()} | {"own.txt"}
    mine, whole = (json.loads((run / "metrics.json").read_text())["test"] for run in (out, folder / "run"))
    assert mine == whole


def test_an_earlier_run_starts_another(trained, tmp_path):
    folder, _ = trained
    arguments = ("--data", folder / "data", "--weights", folder / "run", "--out", tmp_path / "second", *TINY)
    done = command("train", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "0 skipped" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "absent"], "absent: no such folder"),
        (["--data", "data", "--norm", "frozen_batch"], "give --weights FILE|URL|imagenet, or --norm group"),
        (["--data", "data", "--preset", "paper"], "give --weights FILE|URL|imagenet, or --norm group"),
        (["--data", "data", "--weights", "absent.pth"], "weights absent.pth: no such file"),
        (["--data", "data", "--device", "cuda:99"], "--device cuda:99"),
        (["--data", "data", "--device", "teapot"], "--device teapot"),
        (["--data", "data", "--out", "data"], "data: exists already"),
        (["--data", "data", "--out", "data/JPEGImages/synthetic-000000.jpg"], "exists already"),
        (["--data", "data", "--batch-size", "0"], "batch_size: 0 is out of range"),
        (["--data", "data", "--depth", "17"], "depth"),
        (["--resume", "run"], "run: holds no resume.safetensors, since its training is finished"),
        (["--resume", "absent"], "absent: no such run folder"),
        (["--resume", "data"], "data holds no resume.safetensors to go on with"),
        (["--resume", "run", "--steps", "9"], "goes on with that run's own settings"),
        (["--resume", "run", "--out", "other"], "goes on with that run's own settings"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(trained, arguments, message):
    folder, _ = trained
    before = sorted(folder.rglob("*"))
    tiny = [] if {"paper", "--resume"} & {*arguments} else TINY
    done = command("train", *tiny, *arguments, cwd=folder)
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "preset"),
    [
        ([], "demo"),
        (["--data", "synthetic", "--steps", "3"], "demo"),
        (["--data", "folder"], "small"),
        (["--data=folder"], "small"),
        (["--data", "folder", "--preset", "demo"], "demo"),
        (["--preset", "paper"], "paper"),
    ],
)
def test_the_data_choose_the_preset_unless_it_is_named(arguments, preset):
    assert train_module.default_preset(arguments) == preset
