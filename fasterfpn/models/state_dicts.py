"""State dicts from other programs: how they are wrapped, and what network they look like.

A state dict maps names to tensors. Training programs save it among other things ({"model_state_dict": ..., "epoch": 3})
and from inside wrapper modules ("module.conv1.weight"); `flat` makes both a prefix of the name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torch import Tensor

from fasterfpn.models.resnet import STAGES, BasicBlock

# The prefix of a ResNet's names in each layout that can be read: torchvision's detector, ours, a classifier.
ROOTS = ("backbone.body.", "backbone.", "")
FOREIGN = {  # networks that cannot be read, each with a pattern that one of its names matches
    "a vision transformer": r"patch_embed|pos_embed|cls_token|class_token|\.attn\.|self_attention",
    "a DETR": r"(^|\.)transformer\.(en|de)coder\.",
    "a detectron2 model": r"backbone\.bottom_up\.|proposal_generator\.",
    "an mmdetection model": r"(^|\.)(neck|bbox_head|rpn_head|roi_head)\.",
    "a YOLO": r"(^|\.)model\.\d+\.",
    "a network of numbered features, such as VGG or MobileNet": r"(^|\.)features\.\d+\.",
    "a ConvNeXt": r"\.dwconv\.",
}


def flat(content: Mapping[str, object]) -> dict[str, object]:
    """Nested dictionaries as one: {"model": {"conv1.weight": t}} -> {"model.conv1.weight": t}."""
    entries: dict[str, object] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            entries |= {f"{name}.{inner}": leaf for inner, leaf in flat(value).items()}
        else:
            entries[str(name)] = value
    return entries


def wrapper_prefix(names: Collection[str]) -> str:
    """The prefix of all names of the first ResNet or detector in `names`, as "state_dict.module."; "" if none."""
    known = set(names)
    for root in ROOTS:
        stem = root + "conv1.weight"
        for prefix in (name.removesuffix(stem) for name in names if f".{name}".endswith(f".{stem}")):
            if f"{prefix}{root}layer1.0.conv1.weight" in known:  # `layer1.0.` has a conv1 too, but no layer1
                return prefix
    return ""


def description(entries: Mapping[str, object]) -> str:
    """What network flat entries look like, for a message: "a ResNet-50 of width 64", "a vision transformer", ..."""
    if not any(isinstance(value, Tensor) for value in entries.values()):
        return "no tensors at all"
    if resnet := _resnet(entries):
        return resnet
    for network, pattern in FOREIGN.items():
        if any(re.search(pattern, name) for name in entries):
            return network
    return f"a network with entries such as {', '.join(list(entries)[:3])}"


def _resnet(entries: Mapping[str, object]) -> str | None:
    """The ResNet in `entries`, with its depth and width (channels of its first block); None if there is none."""
    blocks = [
        {found[1] for name in entries if (found := re.search(rf"(?:^|\.)layer{stage}\.(\d+)\.", name))}
        for stage in range(1, 5)
    ]
    stem = next((value for name, value in entries.items() if f".{name}".endswith(".layer1.0.conv1.weight")), None)
    if not all(blocks) or not isinstance(stem, Tensor):
        return None
    basic = not any(".conv3.weight" in name for name in entries)
    kind = basic, tuple(map(len, blocks))
    depths = {(block is BasicBlock, counts): f"-{depth}" for depth, (block, counts) in STAGES.items()}
    return f"a ResNet{depths.get(kind, f' of {kind[1]} blocks')} of width {len(stem)}"
