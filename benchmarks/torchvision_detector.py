"""Trains torchvision's Faster R-CNN, shrunk to the `small` preset's size, on the same batches, for comparison.

Same data, split, batches, flips, image size, anchors, widths, samples, optimiser, schedule, precision and steps
as `python -m fasterfpn.train`; everything else is torchvision's own (RoI align, matching, losses, initial weights).

    python benchmarks/torchvision_detector.py --data DIR --steps 2500 [--norm batch|group] [--lr 0.001]

Prints the table of `python -m fasterfpn.evaluate` for the last weights and for those that were best on the validation
part, at the steps at which our training looks there too; with --json-file writes both. Compare with
`evaluate RUN/last.safetensors` and `evaluate RUN`.
"""

from __future__ import annotations

import copy
import json
import math
import time
from pathlib import Path

import torch
import torchvision
import tyro
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.resnet import BasicBlock, ResNet
from tqdm import tqdm

from fasterfpn.data import training_batches
from fasterfpn.data.config import DataConfig
from fasterfpn.data.sources import open_source
from fasterfpn.engine.config import SMALL
from fasterfpn.engine.evaluator import detect_all, summary, summary_table, without_nan
from fasterfpn.engine.placement import Placement
from fasterfpn.engine.schedule import learning_rate


def shrunk_detector(classes: int, norm: str) -> nn.Module:
    """torchvision's FasterRCNN with the sizes of the small preset."""
    model = SMALL.model

    def norm_layer(channels: int) -> nn.Module:
        return nn.GroupNorm(math.gcd(32, channels), channels) if norm == "group" else nn.BatchNorm2d(channels)

    body = ResNet(BasicBlock, [1, 1, 1, 1], norm_layer=norm_layer, zero_init_residual=norm == "batch")
    channels = model.backbone.pyramid_channels
    names = {f"layer{index}": str(index - 1) for index in range(1, 5)}
    backbone = BackboneWithFPN(body, names, [64, 128, 256, 512], channels)
    anchors = AnchorGenerator(
        tuple((round(math.sqrt(area)),) for area in model.scale.anchor_areas), (model.scale.anchor_ratios,) * 5
    )
    detector = FasterRCNN(
        backbone,
        classes + 1,
        min_size=model.image.image_min_side,
        max_size=model.image.image_max_side,
        rpn_anchor_generator=anchors,
        rpn_pre_nms_top_n_train=model.rpn.rpn_pre_nms_train,
        rpn_post_nms_top_n_train=model.rpn.rpn_keep_train,
        rpn_pre_nms_top_n_test=model.rpn.rpn_pre_nms_test,
        rpn_post_nms_top_n_test=model.rpn.rpn_keep_test,
        box_batch_size_per_image=model.box.box_sample,
    )
    hidden = model.box.box_hidden
    detector.roi_heads.box_head.fc6 = nn.Linear(channels * 49, hidden)
    detector.roi_heads.box_head.fc7 = nn.Linear(hidden, hidden)
    detector.roi_heads.box_predictor.cls_score = nn.Linear(hidden, classes + 1)
    detector.roi_heads.box_predictor.bbox_pred = nn.Linear(hidden, 4 * (classes + 1))
    return detector.to(memory_format=torch.channels_last)


def main(
    data: str, steps: int, norm: str = "batch", lr: float = 0.001, seed: int = 0, json_file: Path | None = None
) -> None:
    """Train for so many steps and evaluate on the test part.

    Args:
        data: a folder that `python -m fasterfpn.train --data` takes.
        steps: batches of the small preset's size.
        norm: group or batch.
        lr: peak learning rate.
        seed: of weights, order and flips.
        json_file: where to write the figures.
    """
    config = SMALL.training
    splits = open_source(DataConfig(data=data))
    torch.manual_seed(seed)
    detector = shrunk_detector(len(splits.train.classes), norm)
    trained = list(detector.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [value for value in trained if value.dim() > 1], "weight_decay": config.weight_decay},
            {"params": [value for value in trained if value.dim() <= 1], "weight_decay": 0.0},
        ],
        lr,
    )
    placement = Placement.on("cpu", config.precision)
    batches = training_batches(splits.train, config.batch_size, torch.Generator().manual_seed(seed))
    started = time.monotonic()
    best = (-1.0, 0, detector.state_dict())
    due = [max(1, round(steps * (count + 1) / config.validations)) for count in range(config.validations)]
    detector.train()
    for step in tqdm(range(steps)):
        for group in optimizer.param_groups:
            group["lr"] = lr / config.learning_rate * learning_rate(config, step, steps)
        batch = next(batches)
        with placement.autocast():
            loss = sum(detector(batch.images, batch.targets).values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, config.clip_norm)
        optimizer.step()
        if step + 1 in due:
            detector.eval()
            figure = summary(*detect_all(detector, splits.val, progress=False), splits.val.classes)["mAP_area"]
            tqdm.write(f"step {step + 1}: validation mAP {100 * figure:.1f} %")
            if figure > best[0]:
                best = figure, step + 1, copy.deepcopy(detector.state_dict())
            detector.train()
    seconds = time.monotonic() - started
    print(f"torchvision {torchvision.__version__}, torch {torch.__version__}: {steps} steps in {seconds:.0f} s")
    written = {}
    for name, step, weights in (("last", steps, detector.state_dict()), ("best on validation", *best[1:])):
        detector.load_state_dict(weights)
        figures = summary(*detect_all(detector.eval(), splits.test), splits.test.classes)
        print(f"{name}, step {step}", summary_table(figures), sep="\n")
        written[name] = without_nan(figures | {"step": step, "steps": steps, "seconds": seconds})
    if json_file is not None:
        json_file.write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
