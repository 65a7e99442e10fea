"""A training that is stopped and resumed ends as if it had not been stopped, bit for bit; damaged files are refused."""

import dataclasses
import json
import math
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors.torch import save_file
from test_training import CLASSES, Squares, make_config, make_trainer, splits

from fasterfpn.engine import checkpoint as checkpoint_module
from fasterfpn.engine import trainer as trainer_module
from fasterfpn.engine.checkpoint import read_checkpoint, stopped_training
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.tensor_file import read_tensors, write_tensors
from fasterfpn.errors import InputError
from fasterfpn.files import OutputError


@pytest.fixture(autouse=True)
def written_after_every_epoch(monkeypatch):
    monkeypatch.setattr(trainer_module, "RESUME_SECONDS", 0)


class Signalling(Squares):
    """Sends this process a signal once so many images were seen; Ctrl-C, unless told otherwise."""

    def __init__(self, count, images, number=signal.SIGINT):
        super().__init__(count)
        self.left, self.number = images, number

    def __getitem__(self, index):
        self.left -= 1
        if self.left == -1:
            signal.raise_signal(self.number)
        return super().__getitem__(index)


class Killed(BaseException):
    """The process ends here, as it were: nothing more is saved."""


class Killing(Signalling):
    """Ends the process, as it were, once so many images were seen."""

    def __getitem__(self, index):
        self.left -= 1
        if self.left < 0:
            raise Killed
        return Squares.__getitem__(self, index)


def killed(config, folder, images):
    """Train until `images` were seen; an epoch has 8, in 4 steps. What is saved is of the last whole epoch."""
    folder.mkdir()
    with pytest.raises(Killed):
        make_trainer(config, folder, dataclasses.replace(splits(8), train=Killing(8, images))).run()


def stopped(config, folder, images, number=signal.SIGINT):
    """Train until the signal that comes with the image after `images`; the step at hand is done before the stop."""
    folder.mkdir()
    with pytest.raises((KeyboardInterrupt, SystemExit)) as stop:
        make_trainer(config, folder, dataclasses.replace(splits(8), train=Signalling(8, images, number))).run()
    return stop.value


def same_results(one, other):
    """Whether two run folders hold the same tables and the same weights, to the last bit."""
    tables = all((one / name).read_bytes() == (other / name).read_bytes() for name in ("losses.csv", "validation.csv"))
    weights = ("model.safetensors", "last.safetensors")
    return tables and all((one / name).read_bytes() == (other / name).read_bytes() for name in weights)


CONFIG = make_config(steps=14, validations=5, log_every=3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a training by `CONFIG` that was not stopped, and its outcome."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, make_trainer(CONFIG, folder, splits(8)).run()


@pytest.mark.parametrize("images", [9, pytest.param(16, marks=pytest.mark.slow), 21])
def test_a_killed_run_ends_like_one_that_was_not(whole, tmp_path, images):
    """In the second epoch, at its end, in the third."""
    folder, expected = whole
    killed(CONFIG, tmp_path / "parts", images)
    trainer = make_trainer(CONFIG, tmp_path / "parts", splits(8))
    trainer.restore()
    assert trainer.budget.done == (4 if images < 16 else 8)
    torch.rand(3)
    outcome = trainer.run()
    assert dataclasses.replace(outcome, seconds=expected.seconds) == expected
    assert same_results(folder, tmp_path / "parts")


def test_momentum_continues_too(tmp_path):
    config = make_config(steps=6, optimizer="sgd")
    (tmp_path / "whole").mkdir()
    make_trainer(config, tmp_path / "whole", splits(8)).run()
    killed(config, tmp_path / "parts", 9)
    trainer = make_trainer(config, tmp_path / "parts", splits(8))
    trainer.restore()
    trainer.run()
    assert same_results(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_at_hand_and_nothing_of_it_is_done_twice(whole, tmp_path, number):
    before = signal.getsignal(number)
    stop = stopped(CONFIG, tmp_path / "parts", 9, number)
    assert isinstance(stop, KeyboardInterrupt) if number == signal.SIGINT else stop.code == 143
    assert signal.getsignal(number) == before
    folder = RunFolder(tmp_path / "parts")
    assert (
        stopped_training(folder.resume)[1].step == read_checkpoint(folder.last).step == folder.losses()["step"][-1] == 5
    )
    trainer = make_trainer(CONFIG, folder.path, splits(8))
    trainer.restore()
    assert trainer.budget.done == 5
    trainer.run()
    assert same_results(whole[0], folder.path)


def test_a_second_signal_stops_within_the_step_and_what_was_saved_before_counts(tmp_path, monkeypatch):
    def twice(trainer, batch):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)

    (tmp_path / "run").mkdir()
    trainer = make_trainer(make_config(steps=8), tmp_path / "run", splits(8))
    monkeypatch.setattr(type(trainer), "step", twice)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert stopped_training(RunFolder(tmp_path / "run").resume)[1].step == 0


def test_a_signal_that_was_ignored_before_stays_ignored(tmp_path):
    """As Ctrl-C is in a process that a shell script has put into the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        data = dataclasses.replace(splits(8), train=Signalling(8, 2))
        assert make_trainer(make_config(steps=3), tmp_path, data).run().steps == 3
    finally:
        assert signal.signal(signal.SIGINT, before) == signal.SIG_IGN


def test_a_training_beside_the_main_thread_leaves_signals_alone(tmp_path):
    with ThreadPoolExecutor() as threads:
        threads.submit(make_trainer(make_config(steps=1), tmp_path).run).result()
    assert read_checkpoint(tmp_path).step == 1


def test_a_stop_before_minutes_know_their_steps_starts_again(tmp_path):
    config = make_config(steps=None, minutes=0.01)
    stopped(config, tmp_path / "run", 9)
    trainer = make_trainer(config, tmp_path / "run", splits(8))
    trainer.restore()
    assert trainer.budget.done == 0 and trainer.budget.total is None
    assert trainer.run().steps == trainer.config.training.steps >= 25


@pytest.mark.parametrize("text", [None, "", "heading only"])
def test_rows_that_a_table_lacks_are_named(tmp_path, capsys, text):
    config = make_config(steps=8, log_every=2, validations=4)
    stopped(config, tmp_path / "run", 9)
    for table in (RunFolder(tmp_path / "run").loss_table, RunFolder(tmp_path / "run").validation_table):
        table.path.unlink() if text is None else table.path.write_text(",".join(table.columns) + "\n" if text else "")
    trainer = make_trainer(config, tmp_path / "run", splits(8))
    trainer.restore()
    told = capsys.readouterr().err
    for name in ("losses.csv", "validation.csv"):
        assert f"{name}: lacks 2 rows that were there when the training was saved (steps 2 to 4)" in told
    trainer.run()
    assert RunFolder(tmp_path / "run").losses()["step"] == RunFolder(tmp_path / "run").validations()["step"] == [6, 8]


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({}, ""),
        ({"threads": 64}, "threads 64 before, 1 now"),
        ({"device": "cuda:0"}, "device cuda:0 before, cpu now"),
        ({"dtype": "bfloat16"}, "dtype bfloat16 before, float32 now"),
        ({"torch": "2.0"}, "torch 2.0 before"),
    ],
)
def test_a_resume_where_numbers_round_differently_is_said(tmp_path, capsys, monkeypatch, change, warning):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    stopped(make_config(steps=8), tmp_path / "run", 9)
    rewrite(RunFolder(tmp_path / "run").resume, lambda _, header: header["placement"].update(change))
    make_trainer(make_config(steps=8), tmp_path / "run", splits(8)).restore()
    told = capsys.readouterr().err
    assert warning in told and ("not the weights of a run without a stop" in told) == bool(warning)


def test_a_resume_file_from_before_versions_leads_to_the_same_weights(whole, tmp_path, capsys):
    killed(CONFIG, tmp_path / "parts", 12)
    path = RunFolder(tmp_path / "parts").resume
    tensors, header = read_tensors(path)
    header.pop("placement")
    header["config"]["model"]["torchvision_compat"] = False
    header["config"].pop("format_version")
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in header.items()}
    save_file(tensors, path, texts)
    trainer = make_trainer(CONFIG, tmp_path / "parts", splits(8))
    trainer.restore()
    assert "not recorded where this run was stopped" in capsys.readouterr().err
    trainer.run()
    assert same_results(whole[0], tmp_path / "parts")


def test_a_full_disk_leaves_what_was_saved_before(tmp_path, monkeypatch):
    def full(path, tensors, header):
        if path.name == "last.safetensors" and header["step"] == 8:
            raise OutputError(f"{path}: cannot be written (No space left on device)")
        write_tensors(path, tensors, header)

    monkeypatch.setattr(checkpoint_module, "write_tensors", full)
    (tmp_path / "run").mkdir()
    with pytest.raises(OutputError, match="No space left"):
        make_trainer(make_config(steps=14), tmp_path / "run", splits(8)).run()
    assert stopped_training(RunFolder(tmp_path / "run").resume)[1].step == read_checkpoint(tmp_path / "run").step == 4


def test_a_finished_training_is_restored_as_it_ended(tmp_path):
    config = make_config(steps=5, validations=2, log_every=3)
    (tmp_path / "run").mkdir()
    expected = make_trainer(config, tmp_path / "run", splits(8)).run()
    shutil.copytree(tmp_path / "run", tmp_path / "before")
    trainer = make_trainer(config, tmp_path / "run", splits(8))
    trainer.restore()
    assert trainer.budget.done == 5
    trainer.step = None
    assert dataclasses.replace(trainer.run(), seconds=expected.seconds) == expected
    assert same_results(tmp_path / "before", tmp_path / "run")


def test_a_training_that_was_killed_before_its_first_loss_was_written_is_resumed(tmp_path):
    config = make_config(steps=8, log_every=8)
    (tmp_path / "whole").mkdir()
    make_trainer(config, tmp_path / "whole", splits(8)).run()
    killed(config, tmp_path / "run", 12)
    losses = tmp_path / "run" / "losses.csv"
    for text in (losses.read_text().splitlines()[0] + "\n", ""):  # as a process that is killed, and a machine, leave it
        losses.write_text(text)
        trainer = make_trainer(config, tmp_path / "run", splits(8))
        trainer.restore()
    trainer = make_trainer(config, tmp_path / "run", splits(8))
    trainer.restore()
    trainer.run()
    assert losses.read_text() == (tmp_path / "whole" / "losses.csv").read_text()


def test_the_seconds_before_the_stop_count(tmp_path):
    killed(make_config(steps=8), tmp_path / "run", 12)
    trainer = make_trainer(make_config(steps=8), tmp_path / "run", splits(8))
    trainer.restore()
    assert trainer.seconds > 0 and trainer.run().seconds > trainer.seconds


def test_seconds_are_counted_where_no_progress_is_shown(tmp_path, monkeypatch):
    """As with TQDM_DISABLE=1."""

    class Silent(trainer_module.tqdm):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options, disable=True)

    monkeypatch.setattr(trainer_module, "tqdm", Silent)
    assert make_trainer(make_config(steps=1), tmp_path, splits(8)).run().seconds > 0


def test_it_is_not_written_more_often_than_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer_module, "RESUME_SECONDS", 3600)
    killed(make_config(steps=8, validations=1), tmp_path / "run", 12)
    assert stopped_training(tmp_path / "run" / "resume.safetensors")[1].step == 0


@pytest.mark.parametrize("figures, best", [([0.2, 0.7], 6), ([0.7, 0.2], 3)])
def test_the_best_weights_are_never_ahead_of_it(tmp_path, monkeypatch, figures, best):
    """A resume may round otherwise, on other threads: what it does over must not leave its weights behind."""
    monkeypatch.setattr(trainer_module, "RESUME_SECONDS", 3600)
    given = iter(figures)
    monkeypatch.setattr(trainer_module, "summary", lambda *_: {"mAP_area": next(given)})
    config = make_config(steps=14, validations=5)
    killed(config, tmp_path / "run", 13)  # six steps; validations at the third and sixth
    trainer = make_trainer(config, tmp_path / "run", splits(8))
    trainer.restore()
    assert trainer.budget.done == trainer.best_step == read_checkpoint(RunFolder(tmp_path / "run").best).step == best
    assert trainer.best_mAP == 0.7


def test_best_weights_that_are_ahead_all_the_same_do_not_count(tmp_path, monkeypatch):
    """A stop between the writing of the two files."""
    given = iter([0.2, 0.2, 0.3, 0.4])  # at the third step; at the third, the sixth and the eighth
    monkeypatch.setattr(trainer_module, "summary", lambda *_: {"mAP_area": next(given)})
    config = make_config(steps=14, validations=5)
    killed(config, tmp_path / "early", 9)
    killed(config, tmp_path / "late", 17)
    assert read_checkpoint(RunFolder(tmp_path / "late").best).step == 8
    shutil.copy(RunFolder(tmp_path / "late").best, RunFolder(tmp_path / "early").best)
    trainer = make_trainer(config, tmp_path / "early", splits(8))
    trainer.restore()
    assert trainer.budget.done == 4 and (trainer.best_step, trainer.best_mAP) == (0, -math.inf)


def test_data_that_were_moved_are_the_same_data(whole, tmp_path):
    killed(CONFIG, tmp_path / "parts", 9)
    moved = dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, data="elsewhere"))
    trainer = make_trainer(moved, tmp_path / "parts", splits(8))
    trainer.restore()
    trainer.run()
    assert read_checkpoint(tmp_path / "parts").config.data.data == "elsewhere"
    weights = (read_checkpoint(folder).weights for folder in (whole[0], tmp_path / "parts"))
    one, other = weights
    assert all(one[name].equal(other[name]) for name in one)


def rewrite(path, change):
    """Pass the file's tensors and header through `change`, which may replace entries of both."""
    tensors, header = read_tensors(path)
    change(tensors, header)
    write_tensors(path, tensors, header)


def first(tensors, start):
    return next(name for name in sorted(tensors) if name.startswith(start) and tensors[name].dim() > 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors, _: tensors.update({first(tensors, "optimizer."): torch.zeros(1)}), "damaged .*another shape"),
        (lambda tensors, _: tensors.update({first(tensors, "weights."): torch.zeros(1)}), "damaged .*size mismatch"),
        (lambda tensors, _: tensors.pop(first(tensors, "weights.")), "damaged .*Missing key"),
        (lambda tensors, _: tensors.pop("generator"), "damaged .*generator"),
        (lambda tensors, _: tensors.update({"optimizer.99999.exp_avg": torch.zeros(1)}), "damaged"),
        (lambda tensors, _: tensors.update({"optimizer.exp_avg": torch.zeros(1)}), "damaged"),
        (lambda _, header: header.pop("progress"), "damaged .*progress"),
        (lambda _, header: header.update(progress=[]), "damaged"),
        (lambda _, header: header.update(progress={"step": 1}), "damaged"),
        (lambda _, header: header["progress"].update(step=-4), "-4"),
        (lambda _, header: header.update(format="fasterfpn"), "not a training of this program"),
        (lambda _, header: header.update(config="{"), "its configuration does not fit"),
        (lambda _, header: header.update(classes=list(CLASSES[:1])), "other classes"),
        (lambda _, header: header.update(data="0" * 12), "images or labels have changed"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, change, message):
    killed(make_config(steps=8), tmp_path / "run", 12)
    rewrite(tmp_path / "run" / "resume.safetensors", change)
    with pytest.raises(InputError, match=message) as refused:
        make_trainer(make_config(steps=8), tmp_path / "run", splits(8)).restore()
    assert "resume.safetensors" in str(refused.value) and "\n" not in str(refused.value)


def test_another_configuration_a_torn_file_and_an_absent_one_are_refused(tmp_path):
    killed(make_config(steps=8), tmp_path / "run", 12)
    path = tmp_path / "run" / "resume.safetensors"
    assert stopped_training(path)[0] == make_config(steps=8) and stopped_training(path)[1].step == 4
    with pytest.raises(InputError, match="another configuration"):
        make_trainer(make_config(steps=9), tmp_path / "run", splits(8)).restore()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="not a readable safetensors file"):
        stopped_training(path)
    path.unlink()
    with pytest.raises(InputError, match="No such file"):
        stopped_training(path)
