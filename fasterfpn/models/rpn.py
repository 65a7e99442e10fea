"""Region proposal network (the paper's fig. 7, eqs. 1-4; Ren et al. 2015, sec. 3.1; Lin et al. 2017, sec. 4.1).

N images, L = 5 levels P2..P6 (or C4 alone) of Hl x Wl cells, A anchors per cell, R = sum(Hl Wl A) anchors per image.
Logits (N, R), deltas (N, R, 4) and anchors (R, 4) come as one tensor per level, each in the order y, x, area, ratio;
proposals (Pi, 4) as one tensor per image. Boxes are x1, y1, x2, y2 in pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fasterfpn import ops
from fasterfpn.geometry import (
    Anchors,
    clip_boxes,
    decode_boxes,
    encode_boxes,
    large_enough,
    match_boxes,
    sample_balanced,
)
from fasterfpn.models.config import RpnConfig
from fasterfpn.models.losses import rpn_losses
from fasterfpn.types import Size


class RPNHead(nn.Module):
    """A 3x3 convolution, then two sibling 1x1 convolutions, the same for every level (fig. 7)."""

    def __init__(self, channels: int, anchors_per_cell: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.logits = nn.Conv2d(channels, anchors_per_cell, 1)
        self.deltas = nn.Conv2d(channels, anchors_per_cell * 4, 1)
        for layer in (self.conv, self.logits, self.deltas):
            nn.init.normal_(layer.weight, std=0.01)  # Ren et al. 3.1.3
            nn.init.zeros_(layer.bias)

    def forward(self, pyramid: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """[(N, C, Hl, Wl)] -> logits [(N, Hl Wl A)] and deltas [(N, Hl Wl A, 4)], in float32 at least."""
        logits, deltas = [], []
        for feature in pyramid:
            hidden = F.relu(self.conv(feature))
            # Autocast's low precision ends here: ranking and box decoding need float32.
            wide = torch.promote_types(hidden.dtype, torch.float32)
            logits.append(self.logits(hidden).permute(0, 2, 3, 1).flatten(1).to(wide))
            deltas.append(self.deltas(hidden).permute(0, 2, 3, 1).reshape(len(feature), -1, 4).to(wide))
        return logits, deltas


class AnchorTargets(NamedTuple):
    """The targets of S sampled anchors of a batch, P of them objects. Indices run image by image over 0..N R - 1."""

    sampled: Tensor  # (S,) int64: indices of the sampled anchors
    labels: Tensor  # (S,) int64: 1 object, 0 background
    objects: Tensor  # (P,) int64: indices of the objects among them
    deltas: Tensor  # (P, 4): deltas from each of these to its ground-truth box (eq. 4)


class RPN(nn.Module):
    """The head and its anchors; turns the head's outputs into proposals, and makes its training targets and losses."""

    def __init__(self, channels: int, config: RpnConfig, anchors: Anchors) -> None:
        super().__init__()
        self.config = config
        self.anchors = anchors
        self.head = RPNHead(channels, anchors.per_cell)

    def anchors_of(self, pyramid: list[Tensor], image_size: Size) -> list[Tensor]:
        """Anchors (Hl Wl A, 4) per level, of a padded batch of (H, W) pixels; at least float32, even under autocast."""
        dtype = torch.promote_types(pyramid[0].dtype, torch.float32)
        return self.anchors.of_grids(image_size, [feature.shape[-2:] for feature in pyramid], dtype, pyramid[0].device)

    @torch.no_grad()
    def propose(
        self, logits: list[Tensor], deltas: list[Tensor], anchors: list[Tensor], sizes: list[Size]
    ) -> list[Tensor]:
        """The proposals of each image: the boxes (Pi, 4) with the highest scores, best first (Ren et al. 3.1).

        logits L times (N, Hl Wl A), deltas L times (N, Hl Wl A, 4), anchors L times (Hl Wl A, 4), sizes (h, w) of the N
        images without padding. Logits and deltas must be finite (`check_finite`). Anchors centred in padding propose
        nothing; boxes with a side below `rpn_min_side` are dropped; Pi may be 0.
        """
        config = self.config
        each = config.rpn_pre_nms_train if self.training else config.rpn_pre_nms_test
        most = config.rpn_keep_train if self.training else config.rpn_keep_test
        scores, boxes, segments = [], [], []
        for level, (logit, delta, anchor) in enumerate(zip(logits, deltas, anchors, strict=True)):
            # 1. Leave out anchors centred in the padding of a smaller image: (N, Rl).
            inside = torch.stack([_centred_inside(anchor, size) for size in sizes])
            logit = logit.masked_fill(~inside, -torch.inf)
            # 2. The best k of the level's Rl anchors, `each` per anchor area, as in torchvision: (N, k).
            count = each * len(self.anchors.areas[level])
            best, index = logit.topk(min(count, logit.shape[1]), dim=1)
            # 3. Their boxes by eq. 1: (N, k, 4).
            delta = delta.gather(1, index[..., None].expand(-1, -1, 4))
            boxes.append(decode_boxes(delta, anchor[index]))
            scores.append(best)
            # 4. A number for each image and level: NMS compares boxes of the same number only.
            image = torch.arange(len(sizes), device=best.device)[:, None]
            segments.append((image * len(logits) + level).expand_as(best))
        # 5. All levels side by side, (N, sum of k): clip to each image, drop masked and too small ones -> (M,) in all.
        score, box, segment = torch.cat(scores, 1), torch.cat(boxes, 1), torch.cat(segments, 1)
        box = torch.stack([clip_boxes(own, size) for own, size in zip(box, sizes, strict=True)])
        usable = large_enough(box, config.rpn_min_side) & score.isfinite()
        score, box, segment = score[usable], box[usable], segment[usable]
        # 6. NMS within each image and level (Ren et al. 3.1.3); what remains comes by descending score.
        keep = ops.batched_nms(box, score, segment, config.rpn_nms_iou)
        # 7. The best of all levels, image by image (Lin et al. 4.1): N times (Pi, 4).
        image, box = segment[keep] // len(logits), box[keep]
        return [box[image == index][:most] for index in range(len(sizes))]

    @torch.no_grad()
    def assign_targets(
        self, anchors: list[Tensor], truth: list[Tensor], sizes: list[Size], generator: torch.Generator
    ) -> AnchorTargets:
        """Match anchors with the ground truth (Gi, 4) of each image, and sample them (Ren et al. 3.1.2).

        anchors L times (Hl Wl A, 4), sizes (h, w) of the N images without padding. The sample is drawn on the CPU from
        `generator`. An image with Gi = 0 yields background only.
        """
        config, everywhere = self.config, torch.cat(anchors)  # (R, 4)
        sampled, labels, objects, deltas = [], [], [], []
        for image, (boxes, size) in enumerate(zip(truth, sizes, strict=True)):
            # 1. Only anchors centred in the image count, not those in padding: (I,).
            inside = _centred_inside(everywhere, size).nonzero()[:, 0]
            # 2. 1 object: IoU from 0.7, or the best for a true box; 0 background: below 0.3; else -1, ignored: (I,).
            label, matched = match_boxes(
                everywhere[inside],
                boxes,
                config.rpn_background_iou,
                config.rpn_foreground_iou,
                best_for_each=True,
                every_tie=config.rpn_every_tie,
            )
            # 3. Sample at most half objects, as background is hundreds of times more frequent: (P,) and (Q,).
            positive, negative = sample_balanced(label, config.rpn_sample, config.rpn_positive_fraction, generator)
            sample = torch.cat([positive, negative])
            # 4. The deltas that lead from each object's anchor to its ground truth (eq. 4): (P, 4).
            deltas.append(encode_boxes(boxes[matched[positive]], everywhere[inside[positive]]))
            labels.append(label[sample])
            sampled.append(image * len(everywhere) + inside[sample])
            objects.append(image * len(everywhere) + inside[positive])
        return AnchorTargets(*map(torch.cat, (sampled, labels, objects, deltas)))

    def loss(self, logits: list[Tensor], deltas: list[Tensor], targets: AnchorTargets) -> dict[str, Tensor]:
        """Eq. 3 on sampled anchors: logits L times (N, Hl Wl A), deltas L times (N, Hl Wl A, 4) -> scalars by name."""
        flat_logits = torch.cat(logits, 1).flatten()  # (N R,)
        flat_deltas = torch.cat(deltas, 1).flatten(0, 1)  # (N R, 4)
        cls_loss, loc_loss = rpn_losses(
            flat_logits[targets.sampled],  # (S,)
            targets.labels.to(flat_logits.dtype),
            flat_deltas[targets.objects],  # (P, 4): background has no box to learn
            targets.deltas,
            self.config.rpn_beta,
        )
        return {"rpn_cls_loss": cls_loss, "rpn_loc_loss": self.config.rpn_loc_weight * loc_loss}


def check_finite(logits: list[Tensor], deltas: list[Tensor]) -> None:
    """Raise `FloatingPointError` if any output of the RPN is not finite, as when training has diverged."""
    if not torch.stack([output.isfinite().all() for output in (*logits, *deltas)]).all():
        raise FloatingPointError("the RPN's logits or deltas are not finite")


def _centred_inside(anchors: Tensor, size: Size) -> Tensor:
    """(R,) bool: the anchor's centre lies in the image, not in the padding to its right or below."""
    centre_x, centre_y = (anchors[:, 0] + anchors[:, 2]) / 2, (anchors[:, 1] + anchors[:, 3]) / 2
    return (centre_x < size[1]) & (centre_y < size[0])
