"""Others' weights in and out: state dicts under torchvision's names. Files and downloads: engine/initial_weights.py.

A state dict maps names to tensors. Three layouts are understood: a ResNet classifier's (`layer1.0.conv1.weight`,
`fc.weight`), a whole torchvision Faster R-CNN's (`backbone.body.layer1.0.conv1.weight`, `rpn.head.cls_logits.weight`),
and the detector's own (`backbone.layer1.0.conv1.weight`, `rpn.head.logits.weight`), each also inside others' wrappers
(`state_dicts.wrapper_prefix`). Every entry is accounted for: taken, or skipped with a reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fasterfpn.errors import InputError
from fasterfpn.models.detector import Detector
from fasterfpn.models.norms import FrozenBatchNorm
from fasterfpn.models.state_dicts import description, flat, wrapper_prefix

# Our prefix: torchvision's. What follows a prefix is the same on both sides, and so is every shape.
PREFIXES = {
    "backbone": "backbone.body",
    **{f"fpn.laterals.{level}": f"backbone.fpn.inner_blocks.{level}.0" for level in range(4)},
    **{f"fpn.outputs.{level}": f"backbone.fpn.layer_blocks.{level}.0" for level in range(4)},
    "rpn.head.conv": "rpn.head.conv.0.0",
    "rpn.head.logits": "rpn.head.cls_logits",
    "rpn.head.deltas": "rpn.head.bbox_pred",
    "box_head.body.fc6": "roi_heads.box_head.fc6",
    "box_head.body.fc7": "roi_heads.box_head.fc7",
    "box_head.logits": "roi_heads.box_predictor.cls_score",
    "box_head.deltas": "roi_heads.box_predictor.bbox_pred",
}

# The COCO file that torchvision released carries the names of its early versions, without these inner indices.
EARLY_NAMES = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^rpn\.head\.conv\.(weight|bias)$"), r"rpn.head.conv.0.0.\1"),
)


@dataclass(frozen=True)
class Report:
    """What `load_torchvision` did; `print` it."""

    taken: tuple[str, ...]
    """Entries of the state dict that now are the detector's."""
    skipped: dict[str, str]
    """The other entries of the state dict, each with the reason."""
    missing: tuple[str, ...]
    """The detector's entries (under its own names) that kept their values."""
    prefix: str = ""
    """What was stripped from the names in front, as a wrapper's."""

    def __str__(self) -> str:
        lines = [f"weights: {len(self.taken)} entries taken, {len(self.skipped)} skipped"]
        if self.prefix:
            lines.append(f"  {self.prefix!r} stripped from the front of their names")
        names_of: dict[str, list[str]] = {}
        for name, why in self.skipped.items():
            names_of.setdefault(why, []).append(name)
        groups = sorted(names_of.items(), key=lambda group: -len(group[1]))
        lines += [f"  skipped {_some(names)}: {why}" for why, names in groups[:6]]
        if groups[6:]:
            rest = sum(len(names) for _, names in groups[6:])
            lines.append(f"  skipped {rest} more, for {len(groups[6:])} other reasons")
        if self.missing:
            parts = Counter(name.split(".")[0] for name in self.missing)
            lines.append(f"  not given, left as they were: {', '.join(f'{part} {n}' for part, n in parts.items())}")
        return "\n".join(lines)


def _some(names: Sequence[str]) -> str:
    """`5 (conv1.weight, bn1.weight, ...)`"""
    return f"{len(names)} ({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})"


def load_torchvision(detector: Detector, state_dict: Mapping[str, object]) -> Report:
    """Copy into `detector`, in place, every entry of `state_dict` (in one of the module's three layouts) that fits it.

    Nested dictionaries and wrappers' prefixes ("state_dict", "module.") are looked through; where there are several
    networks in it, the first counts.

    An entry is skipped where the detector has no counterpart, where shapes differ (as a predictor's for another number
    of classes do), or where it belongs to another kind of norm: scales of batch norm mean nothing to group norm. Values
    are converted to the detector's types. torchvision's own COCO weights go with
    `DetectorConfig.torchvision(norm_eps=0.0)`.

    Raises `InputError`, leaving the detector as it was, where nothing fits, or where frozen norms would not get all of
    their statistics; the message says what network the entries look like.
    """
    own, entries = detector.state_dict(), flat(state_dict)
    # 1. Each entry's name in the detector: without the wrapper's prefix, and from theirs to ours.
    prefix = wrapper_prefix(entries)
    inner = {key: key.removeprefix(prefix) for key in entries if key.startswith(prefix)}
    ours = _own_names(inner.values())
    names = {key: ours[inner[key]] if key in inner else key for key in entries}
    conv5 = {"backbone.layer4": "box_head.body.layer4"}  # conv4 has this stage behind the pooling
    names = {key: _renamed(name, conv5) if _renamed(name, conv5) in own else name for key, name in names.items()}
    # 2. Take what fits.
    norms = {name: module for name, module in detector.named_modules() if _is_norm(module)}
    # A norm of the state dict keeps running statistics or does not; ours must do likewise.
    with_statistics = {_module(name) for name in names.values() if name.endswith(".running_mean")}
    taken, skipped = {}, {}
    for key, value in entries.items():
        name = names[key]
        norm = norms.get(_module(name))
        if key not in inner:
            skipped[key] = f"outside of {prefix!r}"
        elif norm is not None and isinstance(norm, nn.GroupNorm) == (_module(name) in with_statistics):
            skipped[key] = f"of another kind of norm than the detector's, {detector.config.backbone.norm}"
        elif why := _misfit(inner[key], value, own.get(name), len(detector.classes)):
            skipped[key] = why
        else:
            taken[key] = name
    missing = tuple(name for name in own if name not in set(taken.values()))
    backbone = detector.config.backbone
    wanted = f"a ResNet-{backbone.depth} of width {backbone.width}"
    if not taken:
        raise InputError(f"weights: none fits this detector, {wanted}; they look like {description(entries)}")
    # 3. Frozen norms compute nothing of their own: with half of their statistics they would be wrong for good.
    bare = [name for name in missing if isinstance(norms.get(_module(name)), FrozenBatchNorm)]
    if bare:
        looks = description(entries)
        advice = "give the detector that depth and width"
        if not with_statistics:
            advice = "they have no statistics of batch norm at all; norm group needs none"
        elif looks == wanted or not looks.startswith("a ResNet"):
            advice = "the file lacks or spoils them"
        raise InputError(
            f"weights: the detector is {wanted}, they look like {looks}; its frozen norms would lack {_some(bare)}: "
            f"{advice}"
        )
    with torch.no_grad():
        for key, name in taken.items():
            own[name].copy_(entries[key])
    return Report(tuple(taken), skipped, missing, prefix)


def to_torchvision(detector: Detector) -> dict[str, Tensor]:
    """The detector's whole state dict under the names of torchvision's Faster R-CNN; it shares the detector's memory.

    torchvision's FasterRCNN of the same depth, norm, classes and anchors loads it strictly. Raises `ValueError` for the
    single-scale network, which torchvision does not have.
    """
    own = detector.state_dict()
    if unknown := [name for name in own if _renamed(name, PREFIXES) == name]:
        raise ValueError(f"to_torchvision: torchvision has no detector with {unknown[0]}, as conv4 has")
    return {_renamed(name, PREFIXES): value for name, value in own.items()}


def _own_names(state_dict: Collection[str]) -> dict[str, str]:
    """Each entry's name in a detector, be there such an entry or not; entries without a counterpart keep theirs."""
    if any(key.startswith(("fpn.", "box_head.")) for key in state_dict):
        return {key: key for key in state_dict}  # our own layout
    if not any(key.startswith(("backbone.", "rpn.", "roi_heads.")) for key in state_dict):
        return {key: f"backbone.{key}" for key in state_dict}  # a ResNet
    theirs = {theirs: ours for ours, theirs in PREFIXES.items()}
    names = {}
    for key in state_dict:
        current = key
        for early, late in EARLY_NAMES:
            current = early.sub(late, current)
        names[key] = _renamed(current, theirs)
    return names


def _renamed(name: str, prefixes: Mapping[str, str]) -> str:
    for old, new in prefixes.items():
        if name.startswith(old + "."):
            return new + name[len(old) :]
    return name


def _module(name: str) -> str:
    """`layer1.0.bn1` of `layer1.0.bn1.weight`"""
    return name.rpartition(".")[0]


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, (FrozenBatchNorm, nn.BatchNorm2d, nn.GroupNorm))


def _misfit(key: str, value: object, own: Tensor | None, classes: int) -> str | None:
    """Why this entry cannot be copied onto `own`, or None."""
    if not isinstance(value, Tensor):
        return "not a tensor"
    if own is None:
        if key.endswith(".num_batches_tracked"):
            return "a counter that frozen norms have no use for"
        if key in ("fc.weight", "fc.bias"):
            return "the ImageNet classifier; a detector has a head of its own"
        return "no counterpart in this detector"
    if value.shape == own.shape:
        return None
    if "box_predictor" in key or key.startswith(("box_head.logits", "box_head.deltas")):
        return f"a predictor for other classes than the detector's {classes}, which starts anew"
    return f"shape {tuple(value.shape)}, here {tuple(own.shape)}"
