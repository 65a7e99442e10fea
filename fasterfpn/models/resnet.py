"""ResNet (Table 1; He et al. 2016), as a pyramid's backbone and as the ImageNet classifier it was trained as.

Shapes: an image batch (N, 3, H, W) gives C2..C5, (N, Ck, ceil(H / 2^k), ceil(W / 2^k)): every stride-2 step rounds up.
Parameter names are torchvision's (`layer3.0.conv2.weight`), so that its state dicts fit as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fasterfpn.models.config import BackboneConfig
from fasterfpn.models.norms import norm_layer


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: the block of ResNet-18 and 34."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, config: BackboneConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = norm_layer(config.norm, width, config.norm_eps)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = norm_layer(config.norm, width, config.norm_eps)
        self.downsample = _shortcut(inputs, width, stride, config)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 beside a shortcut (fig. 5): the block of ResNet-50, 101 and 152.

    The stride sits on the 3x3 convolution, as in torchvision's weights; He et al. put it on the first 1x1.
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, config: BackboneConfig) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = norm_layer(config.norm, width, config.norm_eps)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = norm_layer(config.norm, width, config.norm_eps)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = norm_layer(config.norm, outputs, config.norm_eps)
        self.downsample = _shortcut(inputs, outputs, stride, config)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))  # 1x1: down to `width` channels
        x = F.relu(self.bn2(self.conv2(x)))  # 3x3, with the stride; the next 1x1 brings four times `width`
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


def _shortcut(inputs: int, outputs: int, stride: int, config: BackboneConfig) -> nn.Module | None:
    """A 1x1 projection where the shapes differ (He et al. 2016, option B), else nothing."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm_layer(config.norm, outputs, config.norm_eps)
    )


# Table 1: blocks in conv2_x, conv3_x, conv4_x, conv5_x. Depth 10 is ours, for CPUs.
STAGES = {
    10: (BasicBlock, (1, 1, 1, 1)),
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


def stage_channels(config: BackboneConfig) -> list[int]:
    """Channels of C2..C5."""
    block, _ = STAGES[config.depth]
    return [config.width * 2**stage * block.expansion for stage in range(4)]


def residual_stage(config: BackboneConfig, stage: int) -> nn.Sequential:
    """conv2_x (stage 0) to conv5_x (stage 3), not initialised: from stage 1 on, the first block halves the map."""
    block, counts = STAGES[config.depth]
    channels = stage_channels(config)
    inputs = channels[stage - 1] if stage > 0 else config.width
    layers = []
    for index in range(counts[stage]):
        stride = 2 if stage > 0 and index == 0 else 1
        layers.append(block(inputs, config.width * 2**stage, stride, config))
        inputs = channels[stage]
    return nn.Sequential(*layers)


def initialise(stages: nn.Module) -> None:
    """Draw the weights to train from scratch with."""
    for module in stages.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")  # He et al. 2015
        elif isinstance(module, (BasicBlock, Bottleneck)):
            # Goyal et al. 2017, 5.1: each block starts as the identity, which lets a deep net train from scratch.
            last = module.bn2 if isinstance(module, BasicBlock) else module.bn3
            if isinstance(last, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.zeros_(last.weight)


class ResNet(nn.Module):
    """Stem, four stages and, where `classes` is given, the classifier's average pool and linear layer.

    `forward(images)` gives [C2, C3, C4, C5]; `classify(images)` gives (N, classes) logits; `channels` are those of
    C2..C5. With `stages=3` it ends with C4.
    """

    def __init__(self, config: BackboneConfig, classes: int | None = None, stages: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, config.width, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm_layer(config.norm, config.width, config.norm_eps)
        self.channels = stage_channels(config)[:stages]
        for stage in range(stages):
            setattr(self, f"layer{stage + 1}", residual_stage(config, stage))
        self.fc = nn.Linear(self.channels[-1], classes) if classes is not None else None
        self.frozen_stages = config.frozen_stages
        initialise(self)
        for module in self._frozen():
            module.requires_grad_(False)

    def _stages(self) -> list[nn.Module]:
        return [getattr(self, f"layer{stage + 1}") for stage in range(len(self.channels))]

    def _frozen(self) -> list[nn.Module]:
        """What `frozen_stages` names: the stem counts as the first stage."""
        parts = [[self.conv1, self.bn1], *([stage] for stage in self._stages())]
        return [module for part in parts[: self.frozen_stages] for module in part]

    def train(self, mode: bool = True) -> ResNet:
        """As for any module, but frozen stages stay in evaluation: batch norm's running statistics are frozen too."""
        super().train(mode)
        for module in self._frozen():
            module.eval()
        return self

    def stem(self, images: Tensor) -> Tensor:
        """conv1 and the 3x3 max pool: (N, width, ceil(H / 4), ceil(W / 4))."""
        return F.max_pool2d(F.relu(self.bn1(self.conv1(images))), 3, stride=2, padding=1)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, features = self.stem(images), []  # (N, width, ceil(H / 4), ceil(W / 4))
        for stage in self._stages():
            x = stage(x)  # C2 keeps the stem's size, C3 to C5 halve it
            features.append(x)
        return features

    def classify(self, images: Tensor) -> Tensor:
        """ImageNet logits (N, classes), as in Table 1 before its softmax. ValueError if built without `classes`."""
        if self.fc is None:
            raise ValueError("classify needs a ResNet that was built with classes=...")
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(self(images)[-1], 1), 1))
