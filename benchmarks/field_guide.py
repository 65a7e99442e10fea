"""Eight classic bugs of a detector, each put into a training on the built-in data beside a healthy one.

    python benchmarks/field_guide.py [NAME ...] [--steps 1000]

writes benchmarks/results/field_guide/NAME.json for each: the configuration, the losses of every ten steps, mAP and AP
by class on the test part, the mean IoU of detections with objects whatever their class, and the detections on two test
images. Chapter 13 of the tutorial shows them. A bug is a patch of the shipped code or data, made for the run and undone
after it; `BUGS` says in one line each what is wrong.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import torch
import tyro
from torch import Tensor

from fasterfpn.data import batches
from fasterfpn.data.dataset import LabelledImages
from fasterfpn.data.sources import open_source
from fasterfpn.data.splits import Splits
from fasterfpn.engine.checkpoint import load_detector
from fasterfpn.engine.config import DEMO, Config, config_record
from fasterfpn.engine.evaluator import detect_all, summary, without_nan
from fasterfpn.engine.run_folder import RunFolder
from fasterfpn.engine.trainer import Trainer
from fasterfpn.errors import InputError
from fasterfpn.geometry import box_iou
from fasterfpn.geometry.coding import _center_size
from fasterfpn.models import box_head, rpn
from fasterfpn.models.detector import Detector, build_detector

RESULTS = Path(__file__).resolve().parent / "results" / "field_guide"
SHOWN = (0, 1, 2, 3, 4, 5)  # test images whose detections are kept
SCORE = 0.3  # from which on detections are kept


@dataclass(frozen=True)
class Bug:
    """What is wrong, and how it is put in: by a context for the training or for all, or by other values."""

    what: str
    training: Callable[[], AbstractContextManager] = nullcontext
    always: Callable[[], AbstractContextManager] = nullcontext
    config: Callable[[Config], Config] = lambda config: config
    test_config: Callable[[Config], Config] = lambda config: config
    target: Callable[[dict[str, Tensor]], dict[str, Tensor]] = lambda target: target


class Relabelled:
    """A data set with other targets, for the training part alone."""

    def __init__(self, dataset: LabelledImages, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
        self.dataset, self.classes, self.change = dataset, dataset.classes, change

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        image, target = self.dataset[index]
        return image, self.change(target)

    def targets(self, index: int) -> dict[str, Tensor]:
        return self.change(self.dataset.targets(index))

    def size(self, index: int) -> tuple[int, int]:
        return self.dataset.size(index)

    def image_name(self, index: int) -> str:
        return self.dataset.image_name(index)


def one_class_down(target: dict[str, Tensor]) -> dict[str, Tensor]:
    """Count labels from 0: every class becomes the one before it, and the first one background."""
    kept = target["labels"] > 1
    target = {name: value[kept] for name, value in target.items()}
    return target | {"labels": target["labels"] - 1}


def no_best_anchor() -> AbstractContextManager:
    """Match anchors by the threshold of 0.7 alone."""
    match = rpn.match_boxes
    return patch.object(rpn, "match_boxes", lambda *a, best_for_each, every_tie: match(*a))


def _encode_pixels(boxes: Tensor, anchors: Tensor, weights: tuple = (1, 1, 1, 1)) -> Tensor:
    """Encode as differences of centres and sizes in pixels, where eq. 4 divides by the anchor and takes logarithms."""
    return torch.stack([g - a for g, a in zip(_center_size(boxes), _center_size(anchors), strict=True)], -1)


def _decode_pixels(deltas: Tensor, anchors: Tensor, weights: tuple = (1, 1, 1, 1)) -> Tensor:
    x, y, w, h = (d + a for d, a in zip(deltas.unbind(-1), _center_size(anchors), strict=True))
    return torch.stack((x - 0.5 * w, y - 0.5 * h, x + 0.5 * w, y + 0.5 * h), -1)


@contextmanager
def deltas_in_pixels() -> Iterator[None]:
    """Encode and decode without dividing by the anchor's size."""
    with (
        patch.object(rpn, "encode_boxes", _encode_pixels),
        patch.object(rpn, "decode_boxes", _decode_pixels),
        patch.object(box_head, "encode_boxes", _encode_pixels),
        patch.object(box_head, "decode_boxes", _decode_pixels),
    ):
        yield


def boxes_not_flipped() -> AbstractContextManager:
    """Flip the image alone."""
    flip = batches.flip
    return patch.object(batches, "flip", lambda image, boxes, **flips: (flip(image, boxes, **flips)[0], boxes))


def _training(config: Config, **changes: object) -> Config:
    return replace(config, training=replace(config.training, **changes))


def _image(config: Config, **changes: int) -> Config:
    return replace(config, model=replace(config.model, image=replace(config.model.image, **changes)))


BUGS = {
    "healthy": Bug("nothing"),
    "labels_from_zero": Bug("labels count from 0, which is the background's label", target=one_class_down),
    "x_and_y_swapped": Bug(
        "boxes are y1 x1 y2 x2", target=lambda target: target | {"boxes": target["boxes"][:, [1, 0, 3, 2]]}
    ),
    "no_best_anchor": Bug("anchors are objects from IoU 0.7 on alone", training=no_best_anchor),
    "deltas_in_pixels": Bug("deltas are differences in pixels, not divided by the anchor", always=deltas_in_pixels),
    "learning_rate_times_ten": Bug(
        "the learning rate is ten times too high",
        config=lambda config: _training(config, learning_rate=10 * config.training.learning_rate),
    ),
    "batch_norm_of_one": Bug(
        "batch norm with a single image a step (four times the steps, for as many images)",
        config=lambda config: _training(config, batch_size=1, steps=4 * config.training.steps),
    ),
    "boxes_not_flipped": Bug("an image is flipped, its boxes are not", training=boxes_not_flipped),
    "resized_differently": Bug(
        "images are twice as large at test as in training",
        test_config=lambda config: _image(config, image_min_side=240, image_max_side=480),
    ),
}


def run_bug(bug: Bug, splits: Splits, steps: int, seed: int) -> dict[str, object]:
    """Train and test with one bug; return what chapter 13 shows."""
    config = bug.config(_training(DEMO, steps=steps, seed=seed, validations=1, log_every=10, epochs=50))
    parts = replace(splits, train=Relabelled(splits.train, bug.target), val=Relabelled(splits.val, bug.target))
    with bug.always(), tempfile.TemporaryDirectory() as name:
        folder = RunFolder(Path(name))
        stopped = None
        try:
            with bug.training():
                Trainer(build_detector(config.model, splits.train.classes, seed), parts, config, folder.path).run()
        except InputError as error:  # the numbers are no longer finite
            stopped = str(error).partition(" (images")[0]
        losses = folder.losses()
        figures = None
        if folder.last.exists():
            trained = load_detector(folder.last)
            tested = Detector(bug.test_config(config).model, splits.train.classes).eval()
            tested.load_state_dict(trained.state_dict())
            figures = test_figures(tested, splits.test)
    return {"what": bug.what, "config": config_record(config), "losses": losses, "stopped": stopped, "test": figures}


def test_figures(network: Detector, dataset: LabelledImages) -> dict[str, object]:
    """Return mAP, AP by class, how well confident boxes fit whatever their class, and some detections."""
    detections, targets = detect_all(network, dataset)
    result = summary(detections, targets, network.classes)
    fits = []
    for detected, truth in zip(detections, targets, strict=True):
        iou = box_iou(truth["boxes"], detected["boxes"][detected["scores"] >= SCORE])
        fits += (iou.amax(1) if iou.shape[1] else iou.new_zeros(len(iou))).tolist()
    shown = {}
    for index in SHOWN:
        kept = detections[index]["scores"] >= SCORE
        shown[dataset.image_name(index)] = {name: value[kept].tolist() for name, value in detections[index].items()}
    return {
        "mAP": result["mAP_area"],
        "AP": result["AP_area"],
        "mean_iou_of_any_class": sum(fits) / len(fits),
        "detections_an_image": sum(len(detected["scores"]) for detected in detections) / len(detections),
        "shown": shown,
    }


def main(names: tyro.conf.Positional[tuple[str, ...]] = (), steps: int = 1000, seed: int = 0) -> None:
    """Run the bugs of these names, all by default.

    Args:
        names: of `BUGS`.
        steps: batches of the demo preset.
        seed: of the training.
    """
    torch.set_num_threads(1)  # so that a run repeats bit for bit anywhere
    splits = open_source(DEMO.data)
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in names or BUGS:
        record = without_nan(run_bug(BUGS[name], splits, steps, seed) | {"steps": steps, "torch": torch.__version__})
        (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
        mAP = f"{100 * record['test']['mAP']:.1f} %" if record["test"] else "not tested"
        print(f"{name}: mAP {mAP}{record['stopped'] or ''}", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
