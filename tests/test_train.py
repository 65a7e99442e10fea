"""`python -m fasterfpn.train` from the outside: the main path on a tiny scale, bad input, and stops of every kind."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace

import pytest

from fasterfpn import evaluate
from fasterfpn import train as train_module
from fasterfpn.cli import run
from fasterfpn.data.config import DataConfig
from fasterfpn.data.sources import open_source
from fasterfpn.data.synthetic.folders import write_images
from fasterfpn.data.synthetic.request import Request
from fasterfpn.engine import checkpoint as checkpoint_module
from fasterfpn.engine import trainer as trainer_module
from fasterfpn.engine.checkpoint import read_checkpoint
from fasterfpn.engine.config import SMALL, Config, config_from_record
from fasterfpn.engine.evaluator import detect_all
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.tensor_file import write_tensors
from fasterfpn.errors import InputError
from fasterfpn.files import OutputError

TINY = [
    *("--steps", "4", "--batch-size", "2", "--validations", "1", "--image-min-side", "64", "--image-max-side", "128"),
    *("--width", "16", "--pyramid-channels", "16", "--box-hidden", "16", "--threads", "1", "--device", "cpu"),
]


@dataclass
class Done:
    """How a command line ended."""

    returncode: int
    stdout: str
    stderr: str


def command(module, *arguments, cwd):
    """Call the command line within this process, in the folder `cwd`."""
    main = train_module.command("paper" if "paper" in arguments else "small") if module == "train" else evaluate.main
    out, error, status = io.StringIO(), io.StringIO(), 0
    terminated = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(error):
        patch.chdir(cwd)
        try:
            run(main, module, [str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        finally:
            signal.signal(signal.SIGTERM, terminated)
    return Done(status, out.getvalue(), error.getvalue())


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
    assert names >= {"config.json", "losses.csv", "validation.csv", "metrics.json"}
    assert names >= {"model.safetensors", "last.safetensors", "report.html", "report.json"}
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


@pytest.mark.slow
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


@pytest.mark.usefixtures("without_report")
def test_copies_that_a_run_was_started_with_do_not_stop_its_resume(tmp_path, monkeypatch, capsys):
    """Runs of versions that did not look for copies; that the images are still the same, the run's record tells."""
    write_images(tmp_path / "data", 12, Request(3, size=(64, 96)), workers=1, progress=False)
    images = sorted((tmp_path / "data" / "JPEGImages").iterdir())
    images[-1].write_bytes(images[0].read_bytes())
    lists = tmp_path / "data" / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for part, chosen in {"train": images[:8], "val": images[8:10], "test": images[10:]}.items():
        (lists / f"{part}.txt").write_text("".join(f"{image.stem}\n" for image in chosen))
    config = small_config(str(tmp_path / "data"), steps=4)
    with pytest.raises(InputError, match="in two parts"):
        train_module.train(config, out=tmp_path / "run")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        before_step(patch, 1, lambda: signal.raise_signal(signal.SIGINT))
        patch.setattr("fasterfpn.data.splits.check_copies", lambda *arguments: [])
        train_module.train(config, out=tmp_path / "run", threads=1)
    capsys.readouterr()
    train_module.train(Config(), threads=1, resume=tmp_path / "run")
    assert "1 image is in two parts" in capsys.readouterr().out
    assert read_checkpoint(tmp_path / "run" / "last.safetensors").config.data.allow_copies is False


@pytest.mark.slow
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
        (["--resume", "data"], "data holds no resume.safetensors to resume from"),
        (["--resume", "run", "--steps", "9"], "uses the settings of that run"),
        (["--resume", "run", "--allow-copies"], "uses the settings of that run; drop"),
        (["--resume", "run", "--out", "other"], "uses the settings of that run"),
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


TWELVE = [*TINY, "--steps", "12", "--log-every", "3", "--data", "data", "--out", "run"]


@pytest.fixture
def work(trained, tmp_path):
    """A working folder with the same data and no run."""
    (tmp_path / "data").symlink_to(trained[0] / "data")
    return tmp_path


@pytest.fixture
def without_report(monkeypatch):
    """The report takes longer than the training."""
    monkeypatch.setattr(train_module, "finish", lambda *arguments: None)


def before_step(patch, number, action):
    """Call `action` when the step after `number` begins."""
    step = trainer_module.Trainer.step

    def acting(self, batch):
        if self.budget.done == number:
            action()
        return step(self, batch)

    patch.setattr(trainer_module.Trainer, "step", acting)


@pytest.mark.usefixtures("without_report")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_where_the_run_continues(work, monkeypatch, number, status):
    with monkeypatch.context() as patch:
        before_step(patch, 7, lambda: signal.raise_signal(number))
        done = command("train", *TWELVE, cwd=work)
    assert done.returncode == status and "--resume run continues after step 8" in done.stderr
    again = command("train", *TWELVE, cwd=work)
    assert again.returncode == 2 and "run: exists already" in again.stderr
    assert "--resume run continues after step 8" in again.stderr
    done = command("train", "--resume", "run", "--threads", "1", "--device", "cpu", cwd=work)
    assert done.returncode == 0 and "run: continues after step 8" in done.stdout and "WARNING" not in done.stderr
    assert RunFolder(work / "run").losses()["step"] == [3, 6, 9, 12]
    assert not [path for path in (work / "run").iterdir() if path.name.startswith(".")]


def refuse(name, step=0):
    """What writes tensors, on a disk that has no space for the file of that name from that step on."""

    def write(path, tensors, header):
        if path.name == name and header.get("step", header.get("progress", {}).get("step")) >= step:
            raise OutputError(f"{path}: cannot be written (No space left on device)")
        write_tensors(path, tensors, header)

    return write


@pytest.mark.usefixtures("without_report")
@pytest.mark.parametrize(
    ("name", "step", "advice"),
    [
        ("resume.safetensors", 0, "nothing was saved; start again with --out run"),
        ("last.safetensors", 5, "--resume run continues after step 0"),
        ("model.safetensors", 12, "--resume run continues after step 0"),
        ("resume.safetensors", 12, "--resume run continues after step 0"),
    ],
)
def test_a_full_disk_is_one_line_that_says_how_to_resume_and_that_works(work, monkeypatch, name, step, advice):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "write_tensors", refuse(name, step))
        done = command("train", *TWELVE, cwd=work)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and f"run/{name}: cannot be written (No space left on device); " in last
    assert last.endswith(advice)
    if step == 0:
        refused = command("train", "--resume", "run", cwd=work)
        assert refused.returncode == 2 and advice in refused.stderr
    words = TWELVE if step == 0 else ("--resume", "run", "--threads", "1", "--device", "cpu")
    assert command("train", *words, cwd=work).returncode == 0
    assert RunFolder(work / "run").losses()["step"] == [3, 6, 9, 12]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda run: run.rename(run.with_name("moved")), "the folder run is gone, and the run with it"),
        (
            lambda run: [(run / "losses.csv").unlink(), (run / "losses.csv").mkdir()],
            "--resume run continues after step 0",
        ),
        (lambda run: (run / "metrics.json").mkdir(), "--resume run continues after step 12"),
    ],
)
def test_harm_to_the_folder_while_it_runs_is_one_line(work, monkeypatch, harm, message):
    before_step(monkeypatch, 4, lambda: harm(work / "run"))
    done = command("train", *TWELVE, cwd=work)
    assert done.returncode == 2 and message in done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.usefixtures("without_report")
def test_a_process_that_is_killed_or_terminated_is_resumed_to_the_same_weights(work):
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    line = [sys.executable, "-m", "fasterfpn.train"]
    words = [*TWELVE, "--steps", "80", "--log-every", "1"]
    assert command("train", *words, "--out", "whole", cwd=work).returncode == 0

    def until(rows, *words):
        process = subprocess.Popen([*line, *words], cwd=work, env=environment, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if (work / "run" / "losses.csv").exists() and len(RunFolder(work / "run").losses()["step"]) >= rows:
                return process
            time.sleep(0.02)
        raise AssertionError(process.communicate())

    process = until(20, *words)
    second = command("train", "--resume", "run", cwd=work)
    assert second.returncode == 2 and f"process {process.pid} is working in this folder" in second.stderr
    process.kill()
    process.wait()
    (work / "run" / f".x.{process.pid}.partial").touch()
    (work / "run" / "losses.csv").unlink()
    process = until(1, "--resume", "run", "--threads", "1", "--device", "cpu")
    process.terminate()
    assert "--resume run continues after step" in process.communicate()[1] and process.returncode == 143
    assert command("train", "--resume", "run", "--threads", "1", "--device", "cpu", cwd=work).returncode == 0
    one, other = (read_checkpoint(RunFolder(work / name).last).weights for name in ("whole", "run"))
    assert all(one[name].equal(other[name]) for name in one)
    assert not [path for path in (work / "run").iterdir() if path.name.startswith(".")]


def test_a_report_that_cannot_be_written_is_made_again_by_a_resume(monkeypatch, tmp_path):
    write_images(tmp_path / "data", 12, Request(5, size=(64, 96)), workers=1, progress=False)
    run = tmp_path / "run"

    def full(*arguments):
        raise OutputError(f"{run / 'report.json'}: cannot be written (No space left on device)")

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "publish_run", full)
        with pytest.raises(InputError, match=r"No space left on device\); --resume .*run continues after step [24]"):
            train_module.train(small_config(str(tmp_path / "data"), steps=4), out=run)
    weights, metrics = (run / "model.safetensors").read_bytes(), json.loads((run / "metrics.json").read_text())["test"]
    train_module.train(Config(), resume=run)  # at most the steps since the last save are done again
    assert (run / "report.html").is_file() and not (run / "resume.safetensors").exists()
    assert (run / "model.safetensors").read_bytes() == weights
    assert json.loads((run / "metrics.json").read_text())["test"] == metrics


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
