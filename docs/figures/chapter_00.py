"""Figure of chapter 0: the maps of the running image, and the shape at every arrow."""

from __future__ import annotations

import torch
from figures.running import CLASSES, SIZE, running_image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import Tensor

from fasterfpn import build_detector
from fasterfpn.models import Detector, DetectorConfig
from fasterfpn.models.config import BackboneConfig, BoxHeadConfig
from fasterfpn.models.images import prepare_images


def shapes() -> Figure:
    """Pictures of a narrow untrained network's maps, with the shapes of the paper's network."""
    figure = Figure(figsize=(12.5, 6.6), dpi=100)
    page = figure.add_axes((0, 0, 1, 1), xlim=(0, 125), ylim=(66, 0))
    page.axis("off")
    features, pyramid = maps()
    full_features, full_pyramid = full_shapes()

    x = (2, 30, 52, 71, 87)
    width = (22, 16, 13, 10, 8)
    image = running_image()[0].permute(1, 2, 0).numpy()
    picture(figure, image, 2, 4.5, 22)
    page.text(13, 3, "image (3, 960, 1280)", ha="center")
    for k, (feature, shape) in enumerate(zip(features, full_features, strict=True), start=1):
        picture(figure, brightness(feature), x[k], 4.5, width[k])
        page.text(x[k] + width[k] / 2, 3, f"C{k + 1} {shape}", ha="center", fontsize=9.5)
        arrow(page, (x[k - 1] + width[k - 1] + 0.5, 9), (x[k] - 0.7, 9))
        arrow(page, (x[k] + width[k] / 2, 5.2 + 0.75 * width[k]), (x[k] + width[k] / 2, 23.2))
        page.text(x[k] + width[k] / 2 + 0.7, 21.5, "1x1", fontsize=8.5)
        if k < 4:
            arrow(page, (x[k + 1] - 0.7, 29), (x[k] + width[k] + 0.5, 29))
            page.text((x[k] + width[k] + x[k + 1]) / 2, 27.6, "twice", fontsize=8.5, ha="center")
    for k, (level, shape) in enumerate(zip(pyramid, full_pyramid, strict=True), start=1):
        left, wide = (x[k], width[k]) if k < 5 else (105, 6)
        picture(figure, brightness(level), left, 24, wide)
        page.text(left + wide / 2, 25.8 + 0.75 * wide, f"P{k + 1} {shape}", ha="center", fontsize=9.5, va="center")
        arrow(page, (left + wide / 2, 27.2 + 0.75 * wide), (left + wide / 2, 42), "#00798c")
    arrow(page, (x[4] + width[4] + 0.5, 26), (104.3, 26))
    page.text(99.7, 24.6, "every\nother cell", fontsize=8.5, ha="center", va="bottom")
    words = "Above: ResNet-101 (Table 1).\nBelow: the pyramid (fig. 6).\nShapes are channels,\nrows, columns."
    page.text(13, 25, words, ha="center", va="top")

    block(page, 30, 42, 81, 5, "RPN head, the same for each level (fig. 7): 306,900 scores, (306900, 4) deltas")
    block(page, 30, 51, 36, 5, "decode, keep the best, NMS: proposals (1000, 4)")
    block(page, 71, 51, 40, 5, "RoI max pooling from P2..P5: (1000, 256, 7, 7)")
    block(page, 71, 59, 40, 5, "two layers: (1000, 1024); siblings: (1000, 11), (1000, 44)")
    block(page, 30, 59, 36, 5, "decode, NMS a class: at most 100 boxes")
    arrow(page, (48, 47.4), (48, 50.7))
    arrow(page, (66.4, 53.5), (70.6, 53.5))
    arrow(page, (91, 56.4), (91, 58.7))
    arrow(page, (70.6, 61.5), (66.4, 61.5))
    arrow(page, (29.6, 61.5), (24.5, 61.5))
    page.text(13, 62, "boxes, labels, scores", ha="center", weight="bold")
    return figure


def maps() -> tuple[list[Tensor], list[Tensor]]:
    """C2..C5 and P2..P6 of the running image in a narrow network with random weights."""
    backbone = BackboneConfig(depth=10, width=16, norm="group", pyramid_channels=32)
    config = DetectorConfig(backbone=backbone, box=BoxHeadConfig(box_hidden=64))
    detector = build_detector(config, CLASSES).eval()
    with torch.no_grad():
        features = detector.backbone(prepare_images([running_image()[0]], config.image).pixels)
        return features, detector.fpn(features)


def full_shapes() -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Shapes of C2..C5 and P2..P6 in the paper's network, without computing them."""
    with torch.device("meta"):
        detector = Detector(DetectorConfig(), CLASSES)
        features = detector.backbone(torch.empty(1, 3, *SIZE))
        return [tuple(f.shape[1:]) for f in features], [tuple(p.shape[1:]) for p in detector.fpn(features)]


def brightness(level: Tensor) -> Tensor:
    """The mean absolute value over the channels of a map (1, C, H, W)."""
    return level[0].abs().mean(0)


def picture(figure: Figure, pixels: Tensor, left: float, top: float, width: float) -> None:
    """Show pixels at a place of the page, which is 125 wide and 66 high; a photograph has the shape 4:3."""
    axes = figure.add_axes((left / 125, 1 - (top + 0.75 * width) / 66, width / 125, 0.75 * width / 66))
    axes.imshow(pixels, cmap="viridis", aspect="auto", interpolation="nearest")
    axes.axis("off")


def arrow(page: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = "#444444") -> None:
    """Draw an arrow."""
    page.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=10, color=colour, lw=1.2))


def block(page: Axes, left: float, top: float, width: float, height: float, words: str) -> None:
    """Draw a box with words in it."""
    page.add_patch(
        FancyBboxPatch((left, top), width, height, "round,pad=0.3", facecolor="#e8f1f2", edgecolor="#00798c")
    )
    page.text(left + width / 2, top + height / 2, words, ha="center", va="center", fontsize=10)


FIGURES = {"shapes.jpg": shapes}
