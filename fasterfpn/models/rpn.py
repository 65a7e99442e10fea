"""Region proposal network (fig. 7; Ren et al. 2015, sec. 3.1; Lin et al. 2017, sec. 4.1).

N images, L = 5 levels P2..P6 (or C4 alone), A anchors a cell, R = sum(Hl Wl A) anchors an image; logits (N, R), deltas
(N, R, 4), anchors (R, 4) and labels (R,) in {-1 ignored, 0 background, 1 object} run over levels, then y, x, area,
ratio; proposals (Pi, 4), one tensor an image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fasterfpn import ops
from fasterfpn.geometry import (
    cell_anchors,
    clip_boxes,
    decode_boxes,
    encode_boxes,
    grid_anchors,
    large_enough,
    match_anchors,
    sample_balanced,
)
from fasterfpn.models.config import RpnConfig, ScaleConfig
from fasterfpn.models.images import ImageBatch, Size
from fasterfpn.models.losses import rpn_losses


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
            # Autocast ends here: ranks and boxes need the digits.
            wide = torch.promote_types(hidden.dtype, torch.float32)
            logits.append(self.logits(hidden).permute(0, 2, 3, 1).flatten(1).to(wide))
            deltas.append(self.deltas(hidden).permute(0, 2, 3, 1).reshape(len(feature), -1, 4).to(wide))
        return logits, deltas


class RPN(nn.Module):
    """Head, anchors, loss and proposals, on levels of these strides.

    One of `anchor_areas` a level, as on a pyramid; on a single level all of them (Ren et al. 3.1.1).
    """

    def __init__(self, channels: int, config: RpnConfig, scale: ScaleConfig, strides: Sequence[int]) -> None:
        super().__init__()
        self.config = config
        self.scale = scale
        self.strides = tuple(strides)
        areas = scale.anchor_areas
        self.areas = [areas] if len(self.strides) == 1 else [(area,) for area in areas]
        self.head = RPNHead(channels, len(self.areas[0]) * len(scale.anchor_ratios))

    def forward(
        self, pyramid: list[Tensor], batch: ImageBatch, truth: list[Tensor] | None, generator: torch.Generator
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """`truth`: ground-truth boxes (Gi, 4) of each image, or None when detecting.

        Returns proposals and, in training, losses.
        """
        logits, deltas = self.head(pyramid)
        anchors = self.anchors(pyramid, batch.pixels.shape[-2:])
        proposals = self.propose(logits, deltas, anchors, batch.sizes)
        if truth is None:
            return proposals, {}
        everywhere = torch.cat(logits, 1), torch.cat(deltas, 1), torch.cat(anchors)
        return proposals, self.loss(*everywhere, truth, batch.sizes, generator)

    def anchors(self, pyramid: list[Tensor], image_size: Size) -> list[Tensor]:
        """Anchors (Hl Wl A, 4) of each level for features of these sizes."""
        levels = []
        for feature, areas, stride in zip(pyramid, self.areas, self.strides, strict=True):
            grid = feature.shape[-2:]
            strides = (stride, stride)
            if self.scale.anchor_strides_measured:
                strides = (image_size[0] // grid[0], image_size[1] // grid[1])
            # Boxes keep float32 (float64) precision under autocast too.
            dtype = torch.promote_types(feature.dtype, torch.float32)
            kind = {"dtype": dtype, "device": feature.device, "rounded": self.scale.anchors_rounded}
            cell = torch.cat([cell_anchors(area, self.scale.anchor_ratios, **kind) for area in areas])
            levels.append(grid_anchors(cell, grid, strides))
        return levels

    @torch.no_grad()
    def propose(
        self, logits: list[Tensor], deltas: list[Tensor], anchors: list[Tensor], sizes: list[Size]
    ) -> list[Tensor]:
        """Decode the best-scored anchors of each level, clip, NMS per image and level, keep the best of all levels.

        Anchors centred in padding propose nothing. Raises `FloatingPointError` where a logit or delta among them is not
        finite: training has diverged.
        """
        config = self.config
        count = config.rpn_pre_nms_train if self.training else config.rpn_pre_nms_test
        scores, boxes, segments = [], [], []
        for level, (logit, delta, anchor) in enumerate(zip(logits, deltas, anchors, strict=True)):
            inside = torch.stack([_centred_inside(anchor, size) for size in sizes])
            logit = logit.masked_fill(~inside, -torch.inf)
            best, index = logit.topk(min(count, logit.shape[1]), dim=1)
            delta = delta.gather(1, index[..., None].expand(-1, -1, 4))
            scores.append(best)
            boxes.append(decode_boxes(delta, anchor[index]))
            image = torch.arange(len(sizes), device=best.device)[:, None]
            segments.append((image * len(logits) + level).expand_as(best))
        score, box, segment = torch.cat(scores, 1), torch.cat(boxes, 1), torch.cat(segments, 1)
        if score.isnan().any() or (score == torch.inf).any() or not box.isfinite().all():
            raise FloatingPointError("the RPN's logits or deltas are not finite")
        box = torch.stack([clip_boxes(one, size) for one, size in zip(box, sizes, strict=True)])
        usable = large_enough(box, config.rpn_min_side) & score.isfinite()
        score, box, segment = score[usable], box[usable], segment[usable]
        keep = ops.batched_nms(box, score, segment, config.rpn_nms_iou)  # by descending score
        image, box = segment[keep] // len(logits), box[keep]
        most = config.rpn_keep_train if self.training else config.rpn_keep_test
        return [box[image == index][:most] for index in range(len(sizes))]

    def loss(
        self,
        logits: Tensor,
        deltas: Tensor,
        anchors: Tensor,
        truth: list[Tensor],
        sizes: list[Size],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Eq. 3 on a balanced sample of each image's anchors; the sample is drawn on the CPU from `generator`."""
        config = self.config
        sampled_logits, labels, sampled_deltas, targets = [], [], [], []
        for logit, delta, boxes, size in zip(logits, deltas, truth, sizes, strict=True):
            inside = _centred_inside(anchors, size).nonzero()[:, 0]  # padding is no background to learn from
            label, matched = match_anchors(
                anchors[inside],
                boxes,
                config.rpn_background_iou,
                config.rpn_foreground_iou,
                best_for_each=True,
                every_tie=config.rpn_every_tie,
            )
            positive, negative = sample_balanced(label, config.rpn_sample, config.rpn_positive_fraction, generator)
            sample = torch.cat([positive, negative])
            sampled_logits.append(logit[inside[sample]])
            labels.append(label[sample])
            sampled_deltas.append(delta[inside[positive]])
            targets.append(encode_boxes(boxes[matched[positive]], anchors[inside[positive]]))
        label = torch.cat(labels).to(logits.dtype)
        cls_loss, loc_loss = rpn_losses(
            torch.cat(sampled_logits), label, torch.cat(sampled_deltas), torch.cat(targets), config.rpn_beta
        )
        return {"rpn_cls_loss": cls_loss, "rpn_loc_loss": config.rpn_loc_weight * loc_loss}


def _centred_inside(anchors: Tensor, size: Size) -> Tensor:
    """(R,) bool: the anchor's centre lies in the image, not in the padding to its right or below."""
    centre_x, centre_y = (anchors[:, 0] + anchors[:, 2]) / 2, (anchors[:, 1] + anchors[:, 3]) / 2
    return (centre_x < size[1]) & (centre_y < size[0])
