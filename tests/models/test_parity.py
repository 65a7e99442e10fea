"""Parity with torchvision's Faster R-CNN: the same weights give the same proposals, detections, losses and gradients.

torchvision is no dependency; without it these tests are skipped. `pytest tests/models/test_parity.py -s` prints the
tables of benchmarks/results/parity.md; `-m "not slow"` leaves ResNet-101 out.

Random networks are ill-conditioned, so they are prepared: norm statistics measured, so that activations stay near 1;
logits and deltas scaled, so that scores spread and do not tie; images at network size, sides multiples of 64, so that
nothing is resized or padded; RoI max pooling in torchvision's detector, which aligns by default; for both, one sampler
seeded alike.
"""

import copy
import os
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from fasterfpn import ops
from fasterfpn.geometry import box_iou, sample_balanced
from fasterfpn.models import box_head, rpn
from fasterfpn.models.config import BackboneConfig, DetectorConfig
from fasterfpn.models.detector import Detector
from fasterfpn.models.images import prepare_images
from fasterfpn.models.norms import FrozenBatchNorm
from fasterfpn.models.resnet import ResNet
from fasterfpn.models.weights import load_torchvision, to_torchvision

torchvision = pytest.importorskip("torchvision", reason="torchvision, the oracle of parity, is not installed")

from torchvision.models.detection import FasterRCNN  # noqa: E402
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone  # noqa: E402
from torchvision.ops import FrozenBatchNorm2d, roi_pool  # noqa: E402
from torchvision.ops.poolers import LevelMapper  # noqa: E402

CLASSES = 10
LOSSES = {
    "rpn_cls_loss": "loss_objectness",
    "rpn_loc_loss": "loss_rpn_box_reg",
    "roi_cls_loss": "loss_classifier",
    "roi_loc_loss": "loss_box_reg",
}


@dataclass(frozen=True)
class Case:
    """Two images of one size (height, width) through a ResNet of this depth."""

    depth: int
    size: tuple[int, int]
    seed: int

    def images(self) -> list[Tensor]:
        """Coarse and fine random structure, so that neither is all that anchors see."""
        generator = torch.Generator().manual_seed(self.seed)
        images = torch.zeros(2, 3, *self.size, dtype=torch.float64)
        for cell in (64, 16, 4, 1):
            shape = (2, 3, self.size[0] // cell, self.size[1] // cell)
            noise = torch.rand(shape, generator=generator, dtype=torch.float64)
            images += nn.functional.interpolate(noise, size=self.size, mode="nearest") / 4
        return list(images)

    def targets(self) -> list[dict[str, Tensor]]:
        """Seven objects of all scales in the first image, none in the second."""
        generator = torch.Generator().manual_seed(self.seed)
        span = torch.tensor([self.size[1], self.size[0]], dtype=torch.float64)
        side = span * torch.exp2(-torch.arange(7)[:, None] * torch.rand(7, 2, generator=generator))
        corner = (span - side) * torch.rand(7, 2, generator=generator)
        labels = torch.randint(1, CLASSES + 1, (7,), generator=generator)
        objects = {"boxes": torch.cat([corner, corner + side], dim=1), "labels": labels}
        return [objects, {"boxes": torch.zeros(0, 4, dtype=torch.float64), "labels": torch.zeros(0, dtype=torch.int64)}]


CASES = [
    Case(18, (192, 256), 0),
    Case(18, (320, 192), 1),
    Case(50, (256, 192), 2),
    Case(101, (320, 448), 3),
    Case(101, (512, 384), 4),
    Case(101, (576, 640), 5),
]
PARAMETERS = [
    pytest.param(
        case,
        id=f"resnet{case.depth}-{case.size[0]}x{case.size[1]}-seed{case.seed}",
        marks=pytest.mark.slow if case.depth == 101 else (),
    )
    for case in CASES
]


class LevelwiseRoIPool(nn.Module):
    """torchvision's own level mapper and `roi_pool`, level by level: what MultiScaleRoIAlign is for `roi_align`."""

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list) -> Tensor:
        levels = LevelMapper(2, 5)(boxes)
        image = torch.cat([torch.full((len(box),), index) for index, box in enumerate(boxes)])
        rois = torch.cat([image[:, None].to(boxes[0].dtype), torch.cat(boxes)], dim=1)
        pooled = features["0"].new_zeros(len(rois), features["0"].shape[1], 7, 7)
        for level in range(4):
            here = torch.where(levels == level)[0]
            values = roi_pool(features[str(level)], rois[here].to(pooled.dtype), 7, 1 / 2 ** (level + 2))
            pooled = pooled.index_put((here,), values)
        return pooled


def prepared(case: Case) -> Detector:
    """Our detector in float64, random but well-conditioned on this case's images."""
    config = DetectorConfig.torchvision(
        image_min_side=min(case.size), image_max_side=max(case.size), depth=case.depth, frozen_stages=0
    )
    with torch.random.fork_rng():
        torch.manual_seed(case.seed)
        detector = Detector(config, [f"class {index}" for index in range(CLASSES)]).double().eval()
        for module in detector.modules():
            if isinstance(module, FrozenBatchNorm):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.2)
                module.register_forward_pre_hook(measure_statistics)
            elif isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
                nn.init.normal_(module.bias, std=0.05)
        head = detector.box_head
        scaled = {detector.rpn.head.logits: 2.0, detector.rpn.head.deltas: 0.3, head.logits: 2.0, head.deltas: 1.0}
        scaled |= dict.fromkeys([*detector.fpn.outputs, detector.rpn.head.conv, head.body.fc6, head.body.fc7], 1.0)
        for module, spread in scaled.items():
            module.register_forward_pre_hook(
                lambda module, inputs, spread=spread: scale_output(module, inputs[0], spread)
            )
        with torch.no_grad():
            detector(case.images())
    for module in detector.modules():
        module._forward_pre_hooks.clear()
    return detector


def measure_statistics(norm: FrozenBatchNorm, inputs: tuple[Tensor]) -> None:
    norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
    norm.running_var.copy_(inputs[0].var((0, 2, 3)))


def scale_output(module: nn.Module, x: Tensor, spread: float) -> None:
    """Scale the weights so that the output's standard deviation is `spread`: on the first call (the finest level)."""
    if not hasattr(module, "scaled"):
        module.scaled = True
        module.weight.mul_(spread / module.forward(x).std())


def oracle(detector: Detector, case: Case) -> FasterRCNN:
    """torchvision's detector with the same weights, strictly loaded."""
    backbone = resnet_fpn_backbone(
        backbone_name=f"resnet{case.depth}", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=5
    )
    theirs = FasterRCNN(backbone, CLASSES + 1, min_size=min(case.size), max_size=max(case.size)).double().eval()
    theirs.roi_heads.box_roi_pool = LevelwiseRoIPool()
    theirs.load_state_dict(to_torchvision(detector), strict=True)
    return theirs


class SeededSampler:
    """`sample_balanced` under its own and under torchvision's interface, seeded anew for each image; keeps draws."""

    def __init__(self, count: int, fraction: float) -> None:
        self.count, self.fraction = count, fraction
        self.draws: list[Tensor] = []

    def ours(self, labels: Tensor, count: int, fraction: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        assert (count, fraction) == (self.count, self.fraction)
        positive, negative = sample_balanced(labels, count, fraction, torch.Generator().manual_seed(len(labels)))
        self.draws.append(torch.cat([positive, negative]))
        return positive, negative

    def __call__(self, labels_of_images: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        positives, negatives = [], []
        for labels in labels_of_images:
            drawn = self.ours(labels.clamp(max=1).long(), self.count, self.fraction, None)
            for indices, masks in zip(drawn, (positives, negatives), strict=True):
                masks.append(torch.zeros(len(labels), dtype=torch.bool).index_fill(0, indices, True))
        return positives, negatives


def relative(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, relative to the value where it is above 1."""
    assert ours.shape == theirs.shape
    ours, theirs = ours.detach(), theirs.detach()
    return float(((ours - theirs).abs() / theirs.abs().clamp(min=1)).max()) if ours.numel() else 0.0


def proposals_and_detections(ours: Detector, theirs: FasterRCNN, images: list[Tensor]) -> tuple:
    proposals = {}
    hook = theirs.rpn.register_forward_hook(lambda module, inputs, output: proposals.update(theirs=output[0]))
    with torch.no_grad():
        batch = prepare_images(images, ours.config.image)
        regions = ours.propose(batch)
        detections = ours.detections(regions, batch), theirs(images)
    hook.remove()
    return regions.proposals, proposals["theirs"], *detections


@pytest.fixture(scope="module")
def table():
    """Collects rows and prints them as Markdown at the end (visible with -s)."""
    rows: dict[str, list[str]] = {}
    yield rows
    versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    print(
        f"\n\n{versions}, operators: {ops.backends()['cpu']}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    )
    for heading, lines in rows.items():
        print("\n" + "\n".join([heading, "|".join(["", *["---"] * (heading.count("|") - 1), ""]), *lines]))


@pytest.fixture(scope="module", params=PARAMETERS)
def pair(request) -> tuple[Case, Detector, FasterRCNN]:
    """The two detectors in float64. Tests that change them take a copy."""
    detector = prepared(request.param)
    return request.param, detector, oracle(detector, request.param)


def row(case: Case, images: int, *values: str) -> str:
    return f"| ResNet-{case.depth} | {images} of {case.size[0]} x {case.size[1]} | {' | '.join(values)} |"


def test_detections_in_float64(pair, table):
    """The same proposals and detections, coordinates and scores to 1e-6."""
    case, ours, theirs = pair
    images = case.images()
    our_proposals, their_proposals, our_results, their_results = proposals_and_detections(ours, theirs, images)
    proposal = max(map(relative, our_proposals, their_proposals))
    box = max(relative(a["boxes"], b["boxes"]) for a, b in zip(our_results, their_results, strict=True))
    score = max(relative(a["scores"], b["scores"]) for a, b in zip(our_results, their_results, strict=True))
    for a, b in zip(our_results, their_results, strict=True):
        assert torch.equal(a["labels"], b["labels"])
        assert len(torch.unique(a["labels"])) > 1 and len(a["labels"]) > 20  # there is something to compare
    assert min(map(len, our_proposals)) > 100
    assert max(proposal, box, score) < 1e-6

    heading = "| float64, detecting | images | proposals | detections | proposals differ by | boxes | scores |"
    counts = sum(map(len, our_proposals)), sum(len(result["labels"]) for result in our_results)
    differences = (f"{value:.1e}" for value in (proposal, box, score))
    table.setdefault(heading, []).append(row(case, 2, *map(str, counts), *differences))


def test_losses_in_float64(pair, table, monkeypatch):
    """The same anchors and proposals are sampled, and the losses and all gradients agree to 1e-6."""
    case, ours, theirs = pair
    ours, theirs = copy.deepcopy(ours).train(), copy.deepcopy(theirs).train()
    our_samplers, their_samplers = ((SeededSampler(256, 0.5), SeededSampler(512, 0.25)) for _ in range(2))
    monkeypatch.setattr(rpn, "sample_balanced", our_samplers[0].ours)
    monkeypatch.setattr(box_head, "sample_balanced", our_samplers[1].ours)
    theirs.rpn.fg_bg_sampler, theirs.roi_heads.fg_bg_sampler = their_samplers
    our_losses, their_losses = (model(case.images(), case.targets()) for model in (ours, theirs))
    for our_sampler, their_sampler in zip(our_samplers, their_samplers, strict=True):
        assert len(our_sampler.draws) == len(their_sampler.draws) == 2
        assert all(map(torch.equal, our_sampler.draws, their_sampler.draws))
    # torchvision gives loss_objectness in float32, for its labels are: some 1e-7 is what can be had there.
    losses = {name: relative(our_losses[name], their_losses[oracles]) for name, oracles in LOSSES.items()}
    assert all(our_losses[name] > 0 for name in LOSSES)
    assert max(losses.values()) < 1e-6
    assert relative(our_losses["total_loss"], sum(their_losses.values())) < 1e-6

    our_losses["total_loss"].backward()
    sum(their_losses.values()).backward()
    gradient = largest_gradient_difference(ours, theirs)
    assert gradient < 1e-6
    heading = (
        f"| float64, training | images | sampled | {' | '.join(f'{name} differs by' for name in losses)} | gradients |"
    )
    sampled = "{} + {}".format(*(sum(map(len, sampler.draws)) for sampler in our_samplers))
    differences = (f"{value:.1e}" for value in (*losses.values(), gradient))
    table.setdefault(heading, []).append(row(case, 2, sampled, *differences))


def largest_gradient_difference(ours: Detector, theirs: FasterRCNN) -> float:
    """Over all parameters: norm of the difference over the norm of the gradient."""
    own_names = {value.data_ptr(): name for name, value in to_torchvision(ours).items()}
    gradients = {own_names[parameter.data_ptr()]: parameter.grad for parameter in ours.parameters()}
    oracles = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    assert gradients.keys() == oracles.keys()
    return max(float((gradients[name] - grad).norm() / grad.norm().clamp(min=1e-9)) for name, grad in oracles.items())


def test_detections_in_float32(pair, table):
    """99 % of the detections have a partner: same label, IoU above 0.99, scores within 1e-3.

    Rounding swaps boxes whose scores or overlaps nearly tie. How many, torchvision shows too, against its own float64.
    """
    case, ours, theirs = pair
    ours32, theirs32 = copy.deepcopy(ours).float(), copy.deepcopy(theirs).float()
    matched, floor = [], []
    for seed in (case.seed, case.seed + 100, case.seed + 200):
        images = replace(case, seed=seed).images()
        singles = [image.float() for image in images]
        with torch.no_grad():
            our_results, their_results, exact_results = ours32(singles), theirs32(singles), theirs(images)
        matched += map(paired, our_results, their_results)
        matched += map(paired, their_results, our_results)
        floor += map(paired, their_results, exact_results)
        floor += map(paired, exact_results, their_results)
    shares = [float(torch.cat(pairs).double().mean()) for pairs in (matched, floor)]
    heading = "| float32, detecting | images | detections of both | matched | torchvision with its own float64 |"
    line = row(case, 6, str(len(torch.cat(matched))), *(f"{share:.2%}" for share in shares))
    table.setdefault(heading, []).append(line)
    assert len(torch.cat(matched)) > 240
    assert shares[0] >= 0.99


def paired(these: dict[str, Tensor], those: dict[str, Tensor]) -> Tensor:
    """(D,) bool: which of `these` detections occur among `those`."""
    alike = box_iou(these["boxes"].double(), those["boxes"].double()) > 0.99
    alike &= these["labels"][:, None] == those["labels"]
    alike &= (these["scores"][:, None] - those["scores"]).abs() < 1e-3
    return alike.any(1)


def test_the_oracles_own_weights_come_in():
    """The other direction: torchvision's fasterrcnn_resnet50_fpn, 91 COCO classes, into a detector of ten."""
    theirs = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    state = theirs.state_dict()
    ours = Detector(DetectorConfig(backbone=BackboneConfig(depth=50)), [f"class {index}" for index in range(CLASSES)])
    # Untrained, torchvision's model has trainable batch norms, whose counters have no place in frozen ones.
    counters = {key for key in state if key.endswith("num_batches_tracked")}
    report = load_torchvision(ours, state)
    predictor = {
        f"roi_heads.box_predictor.{layer}.{kind}" for layer in ("cls_score", "bbox_pred") for kind in ("weight", "bias")
    }
    assert set(report.skipped) == predictor | counters
    assert set(report.taken) | set(report.skipped) == set(state)
    assert all(name.startswith(("box_head.logits", "box_head.deltas")) for name in report.missing)
    given_back = to_torchvision(ours)
    assert all(torch.equal(given_back[key], state[key]) for key in report.taken)


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_resnet_has_the_oracles_names_and_shapes(depth):
    with torch.device("meta"):
        ours = ResNet(BackboneConfig(depth=depth, norm="batch"), classes=1000)
        theirs = getattr(torchvision.models, f"resnet{depth}")()
    shapes = [{name: value.shape for name, value in model.state_dict().items()} for model in (ours, theirs)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("norm", ["batch", "frozen_batch"])
@pytest.mark.parametrize("depth", [18, 50])
def test_resnet_classifies_as_the_oracle(depth, norm):
    torch.manual_seed(depth)
    theirs = getattr(torchvision.models, f"resnet{depth}")().double()
    images = torch.rand(4, 3, 97, 130, dtype=torch.float64)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # statistics are those of all images seen
    theirs(images)  # in training mode: gathers them
    ours = ResNet(BackboneConfig(depth=depth, norm=norm), classes=1000).double()
    loaded = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert not loaded.missing_keys and all(key.endswith("num_batches_tracked") for key in loaded.unexpected_keys)
    with torch.no_grad():
        assert relative(ours.eval().classify(images), theirs.eval()(images)) < 1e-9
