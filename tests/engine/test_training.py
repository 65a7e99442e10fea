"""The training loop end to end: it learns, it repeats, it stops cleanly."""

import csv
import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fasterfpn.data.config import DataConfig
from fasterfpn.data.splits import Splits
from fasterfpn.engine import trainer as trainer_module
from fasterfpn.engine.checkpoint import load_detector, read_checkpoint
from fasterfpn.engine.config import PRESETS, Config
from fasterfpn.engine.evaluator import detect_all, summary
from fasterfpn.engine.fit import check_batch_norm, fit
from fasterfpn.engine.optimizer import build_optimizer
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.schedule import learning_rate
from fasterfpn.engine.tables import LOSSES
from fasterfpn.engine.trainer import Trainer
from fasterfpn.errors import InputError
from fasterfpn.models.config import ImageConfig
from fasterfpn.models.detector import build_detector

CLASSES = ("bright", "striped")


class Squares:
    """Images of 96 x 96 with one bright and one striped square each: the smallest task that has classes and places."""

    classes = CLASSES

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        generator = torch.Generator().manual_seed(index)
        image = 0.4 + 0.05 * torch.rand(3, 96, 96, generator=generator)
        boxes = []
        for kind, left in enumerate((0, 48)):
            side = int(torch.randint(20, 36, (), generator=generator))
            x = left + int(torch.randint(0, 48 - side, (), generator=generator))
            y = int(torch.randint(0, 96 - side, (), generator=generator))
            patch = image[:, y : y + side, x : x + side]
            patch[:, :: 1 if kind == 0 else 4] = 0.9
            boxes.append([x, y, x + side, y + side])
        labels = torch.tensor([1, 2])
        difficult = torch.zeros(2, dtype=torch.bool)
        return image, {"boxes": torch.tensor(boxes, dtype=torch.float32), "labels": labels, "difficult": difficult}

    def targets(self, index: int) -> dict[str, Tensor]:
        return Squares.__getitem__(self, index)[1]  # not a subclass's, which counts or stops

    def size(self, index: int) -> tuple[int, int]:
        return 96, 96

    def image_name(self, index: int) -> str:
        return f"squares-{index}"


def splits(count: int = 4, validation: int = 4) -> Splits:
    return Splits(Squares(count), Squares(validation), Squares(0), problems=(), summary=(), named_test=True)


def make_config(**training) -> Config:
    """A detector small enough for tests: a quarter of the small preset's channels, 96 px."""
    model = PRESETS["small"].model
    model = dataclasses.replace(
        model,
        image=dataclasses.replace(model.image, image_min_side=96, image_max_side=96),
        backbone=dataclasses.replace(model.backbone, width=16, pyramid_channels=32),
        box=dataclasses.replace(model.box, box_hidden=64),
    )
    given = {"steps": 6, "validations": 1, "precision": "float32", "warmup_steps": 2, "batch_size": 2, **training}
    given = dataclasses.replace(PRESETS["small"].training, **given)
    return Config(model=model, data=DataConfig(data="squares"), training=given)


def make_trainer(config: Config, folder: Path, data: Splits | None = None) -> Trainer:
    detector = build_detector(config.model, CLASSES, config.training.seed)
    return Trainer(detector, data or splits(), config, folder)


@pytest.mark.slow
def test_four_images_are_learnt_by_heart(tmp_path):
    config = make_config(steps=150, batch_size=4, learning_rate=0.002, warmup_steps=10)
    outcome = make_trainer(config, tmp_path).run()
    figures = summary(*detect_all(load_detector(tmp_path), Squares(4), progress=False), CLASSES)
    assert figures["mAP_area"] == 1.0
    assert outcome.best_mAP == 1.0  # training's own validation saw the same, through the checkpoint's weights


def run_losses(folder: Path, seed: int) -> tuple[list[dict[str, str]], dict[str, Tensor]]:
    folder.mkdir()
    make_trainer(make_config(log_every=1, seed=seed), folder).run()
    with (folder / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    return rows, read_checkpoint(RunFolder(folder).last).weights


def test_a_run_repeats_bit_for_bit_and_another_seed_differs(tmp_path):
    first, weights = run_losses(tmp_path / "a", seed=1)
    torch.rand(7)  # whatever the global generator did in between
    again, same = run_losses(tmp_path / "b", seed=1)
    other, _ = run_losses(tmp_path / "c", seed=2)
    assert first == again and first != other
    assert weights.keys() == same.keys() and all(torch.equal(weights[name], same[name]) for name in weights)


def test_the_run_folder_holds_losses_and_both_checkpoints(tmp_path):
    outcome = make_trainer(make_config(log_every=3), tmp_path).run()
    with (tmp_path / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [3, 6]
    for row in rows:
        parts = sum(float(row[name]) for name in LOSSES if name != "total_loss")
        assert float(row["total_loss"]) == pytest.approx(parts, abs=1e-4)
    assert outcome.steps == 6 and RunFolder(tmp_path).best.is_file()
    assert read_checkpoint(RunFolder(tmp_path).last).step == 6


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("rpn.head.logits.weight", "the RPN's logits or deltas are not finite"),
        ("backbone.conv1.weight", "the RPN's logits or deltas are not finite"),
        ("box_head.logits.bias", "roi_(cls|loc)_loss is nan"),
    ],
)
def test_a_loss_that_is_not_finite_names_step_and_images(tmp_path, where, what):
    trainer = make_trainer(make_config(), tmp_path)
    trainer.detector.get_parameter(where).data.fill_(math.nan)
    with pytest.raises(InputError, match=rf"^step 1: {what} \(images squares-\d, squares-\d\)"):
        trainer.run()


def test_a_gradient_that_is_not_finite_stops_before_the_weights_change(tmp_path):
    trainer = make_trainer(make_config(), tmp_path)
    weight = trainer.detector.box_head.logits.weight
    before = weight.detach().clone()
    weight.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(InputError, match=r"^step 1: the gradient's norm is nan"):
        trainer.run()
    assert torch.equal(weight, before)


@pytest.mark.parametrize("flip", [True, False])
def test_the_configuration_decides_about_flips(tmp_path, monkeypatch, flip):
    called = []
    monkeypatch.setattr(trainer_module, "training_batches", lambda *arguments, **_: called.append(arguments))
    make_trainer(dataclasses.replace(make_config(), data=DataConfig(flip=flip)), tmp_path).remaining_batches()
    assert called[0][-1] is flip


@pytest.mark.parametrize("steps", [2, 6])  # the poisoned step ends an epoch and a validation is due; or only later
def test_weights_that_an_optimiser_step_ruins_are_never_saved(tmp_path, steps):
    """Losses and gradient are finite, the learning rate's step is not."""
    trainer = make_trainer(make_config(steps=steps, learning_rate=1e38, optimizer="sgd", clip_norm=0.0), tmp_path)
    with pytest.raises(InputError, match=r"^step \d: .*not finite.*squares-\d"):
        trainer.run()
    for path in (RunFolder(tmp_path).best, RunFolder(tmp_path).last):
        if path.exists():
            assert all(weight.isfinite().all() for weight in read_checkpoint(path).weights.values())


def test_the_checkpoint_of_the_best_validation_is_kept(tmp_path, monkeypatch):
    figures = iter([0.2, 0.7, 0.7, 0.4, math.nan])
    monkeypatch.setattr(trainer_module, "summary", lambda *_: {"mAP_area": next(figures)})
    outcome = make_trainer(make_config(steps=8, validations=4), tmp_path).run()
    assert (outcome.best_step, outcome.best_mAP) == (4, 0.7)  # the first of equals
    assert read_checkpoint(RunFolder(tmp_path).best).step == 4 and read_checkpoint(RunFolder(tmp_path).last).step == 8
    with (tmp_path / "validation.csv").open() as file:
        assert [(int(row["step"]), float(row["mAP_area"])) for row in csv.DictReader(file)] == [
            (2, 0.2),
            (4, 0.7),
            (6, 0.7),
            (8, 0.4),
        ]


def test_the_optimiser_moves_at_the_rate_of_the_schedule(tmp_path, monkeypatch):
    trainer, rates = make_trainer(make_config(steps=4, warmup_steps=9), tmp_path), []
    move = trainer.optimizer.step

    def recorded():
        rates.append([group["lr"] for group in trainer.optimizer.param_groups])
        move()

    monkeypatch.setattr(trainer.optimizer, "step", recorded)
    trainer.run()
    assert rates == [[learning_rate(trainer.config.training, step, 4)] * 2 for step in range(4)]


@pytest.mark.parametrize("clip_norm", [0.01, 0.0])
def test_the_gradient_is_clipped_only_where_asked(tmp_path, monkeypatch, clip_norm):
    trainer, norms = make_trainer(make_config(steps=2, clip_norm=clip_norm), tmp_path), []
    monkeypatch.setattr(
        trainer.optimizer,
        "step",
        lambda: norms.append(float(torch.stack([p.grad.norm() for p in trainer.parameters]).norm())),
    )
    trainer.run()
    assert norms == pytest.approx([0.01, 0.01], rel=1e-2) if clip_norm else min(norms) > 0.1


def test_a_checkpoint_every_epoch(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(Trainer, "save", lambda trainer, path: steps.append((path.stem, trainer.budget.done)))
    make_trainer(make_config(steps=7, validations=1), tmp_path).run()  # 4 images in batches of 2: an epoch is 2 steps
    assert [step for name, step in steps if name == "last"] == [2, 4, 6, 7]


def test_losses_after_the_last_whole_window_are_written_too(tmp_path):
    make_trainer(make_config(steps=5, log_every=3), tmp_path).run()
    with (tmp_path / "losses.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [3, 5]


def test_a_budget_in_minutes_is_recorded_as_steps_that_repeat_the_run(tmp_path):
    trainer = make_trainer(make_config(steps=None, minutes=0.02, warmup_steps=30), tmp_path)
    outcome = trainer.run()
    config = read_checkpoint(RunFolder(tmp_path).last).config.training
    assert config.minutes is None and config.steps == outcome.steps == trainer.config.training.steps


def test_without_a_validation_part_the_latest_weights_are_kept(tmp_path):
    outcome = make_trainer(make_config(validations=3), tmp_path, splits(validation=0)).run()
    assert outcome.best_step == outcome.steps == 6
    assert read_checkpoint(RunFolder(tmp_path).best).step == 6


def lone_image(**image):
    """A detector of `image` sides and three images in batches of two: one is left over."""
    config = make_config(steps=2)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, image=ImageConfig(**image)))


def test_batch_norm_over_a_single_value_is_refused_before_the_first_step(tmp_path):
    config = lone_image(image_min_side=32, image_max_side=32)
    detector = build_detector(config.model, CLASSES)
    with pytest.raises(InputError, match=r"3 images in batches of 2 leave one over.*at 32 pixels") as refused:
        fit(detector, splits(3), config, tmp_path)
    assert list(tmp_path.iterdir()) == [] and "\n" not in str(refused.value)
    group = dataclasses.replace(config.model, backbone=dataclasses.replace(config.model.backbone, norm="group"))
    check_batch_norm(dataclasses.replace(config, model=group), Squares(3))
    check_batch_norm(config, Squares(4))
    config = lone_image(image_min_side=48, image_max_side=48)
    assert fit(build_detector(config.model, CLASSES), splits(3), config, tmp_path).steps == 2


def test_equal_runs_give_equal_bytes(tmp_path):
    for name, epochs in (("one", 1), ("other", 1.0)):
        config = make_config(steps=None, epochs=epochs)
        (tmp_path / name).mkdir()
        fit(build_detector(config.model, CLASSES), splits(), config, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir() if path.name != "resume.safetensors")
    assert len(files) == 6  # the resume file holds the time that it took
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name


def test_adamw_spares_norms_and_biases():
    config = make_config(optimizer="adamw", weight_decay=0.1)
    detector = build_detector(config.model, CLASSES)
    decayed, spared = build_optimizer(detector, config.training).param_groups
    assert {value.dim() for value in spared["params"]} == {1} and spared["weight_decay"] == 0
    assert min(value.dim() for value in decayed["params"]) == 2 and decayed["weight_decay"] == 0.1
    assert len(decayed["params"]) + len(spared["params"]) == len(list(detector.parameters()))
