"""The exercises: what each asks for, and where it is explained."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

STARTS = Path(__file__).parent / "starts"


@dataclass(frozen=True)
class Task:
    """One exercise. The learner's file defines `function`; its laws are in the module of this package `name`.

    `chapter` is a file of docs/. `taken` are the functions that would be no solution, by their dotted names.
    """

    name: str
    function: str
    chapter: str
    about: str
    taken: tuple[str, ...]

    @property
    def laws_module(self) -> ModuleType:
        """Needs hypothesis."""
        return import_module(f"fasterfpn.laws.{self.name}")

    @property
    def start(self) -> Path:
        """The file that a learner begins with."""
        return STARTS / f"{self.name}.py"


_GEOMETRY, _LOSSES, _F = "fasterfpn.geometry", "fasterfpn.models.losses", "torch.nn.functional"

TASKS = {
    task.name: task
    for task in (
        Task("iou", "box_iou", "01_two_boxes.md", "how much two boxes overlap", (f"{_GEOMETRY}.boxes.box_iou",)),
        Task(
            "average_precision",
            "average_precision",
            "02_average_precision.md",
            "how good a detector is",
            tuple(
                f"fasterfpn.engine.average_precision.{name}"
                for name in ("average_precision", "precision_recall", "judge_class")
            ),
        ),
        Task("fpn", "feature_pyramid", "04_features.md", "C2..C5 to P2..P6", ("fasterfpn.models.fpn.FPN.forward",)),
        Task(
            "anchors",
            "pyramid_anchors",
            "05_anchors.md",
            "the fixed boxes of every level",
            (f"{_GEOMETRY}.anchors.pyramid_anchors", f"{_GEOMETRY}.anchors.Anchors.of_grids"),
        ),
        Task(
            "encode",
            "encode_boxes",
            "06_box_coding.md",
            "a box as four deltas",
            (f"{_GEOMETRY}.coding.encode_boxes",),
        ),
        Task("decode", "decode_boxes", "06_box_coding.md", "and back", (f"{_GEOMETRY}.coding.decode_boxes",)),
        Task(
            "match",
            "match_boxes",
            "07_assignment.md",
            "which anchors stand for an object",
            (f"{_GEOMETRY}.matching.match_boxes",),
        ),
        Task(
            "sample",
            "sample_balanced",
            "07_assignment.md",
            "which of them the loss sees",
            (f"{_GEOMETRY}.matching.sample_balanced",),
        ),
        Task(
            "smooth_l1",
            "smooth_l1",
            "08_rpn_loss.md",
            "a loss that no outlier rules",
            (f"{_LOSSES}.smooth_l1", f"{_F}.smooth_l1_loss", f"{_F}.huber_loss"),
        ),
        Task("rpn_loss", "rpn_losses", "08_rpn_loss.md", "equation 3", (f"{_LOSSES}.rpn_losses",)),
        Task(
            "nms",
            "nms",
            "09_proposals.md",
            "one box for each object",
            (
                "fasterfpn.ops.nms",
                "fasterfpn.ops.batched_nms",
                "fasterfpn.ops.reference.nms",
                "torch.ops.fasterfpn.nms",
            ),
        ),
        Task(
            "assign_levels",
            "assign_levels",
            "10_roi_pooling.md",
            "which level pools a proposal",
            (f"{_GEOMETRY}.levels.assign_levels",),
        ),
        Task(
            "roi_max_pool",
            "roi_max_pool",
            "10_roi_pooling.md",
            "the 7 x 7 cells of a proposal",
            (
                "fasterfpn.ops.roi_max_pool",
                "fasterfpn.ops.multiscale_roi_max_pool",
                "fasterfpn.ops.reference.roi_max_pool",
                "torch.ops.fasterfpn.roi_max_pool",
            ),
        ),
        Task("saliency", "saliency_map", "saliency.md", "which pixels an answer hangs on", ()),
    )
}
