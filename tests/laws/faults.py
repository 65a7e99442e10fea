"""Mistakes that learners make, each as an edit of a solution in other_style/ that is right but for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """`edits` replace lines of `base`; the law `breaks` names the mistake."""

    name: str
    base: str
    what: str
    breaks: str
    edits: tuple[tuple[str, str], ...]

    def text(self, right: str) -> str:
        """The wrong solution, made of the right one. Raises ValueError where a line to replace is not there once."""
        for old, new in self.edits:
            if right.count(old) != 1:
                raise ValueError(f"{self.name}: {old!r} stands {right.count(old)} times in {self.base}")
            right = right.replace(old, new)
        return right


FAULTS = (
    Fault(
        "fpn_bilinear",
        "fpn_functional",
        "Interpolated instead of copied.",
        "the_top_reaches_the_bottom",
        (
            (
                'merged[k] = merged[k] + interpolate(above, size=merged[k].shape[-2:], mode="nearest")',
                'merged[k] = merged[k] + interpolate(above, size=merged[k].shape[-2:], mode="bilinear")',
            ),
        ),
    ),
    Fault(
        "fpn_one_level_only",
        "fpn_functional",
        "Each level adds the lateral above, not the sum.",
        "the_top_reaches_the_bottom",
        (("for k in (2, 1, 0):", "for k in (0, 1, 2):"),),
    ),
    Fault(
        "fpn_p6_from_c5",
        "fpn_functional",
        "P6 made of C5.",
        "p6_is_every_second_cell_of_p5",
        (
            (
                "pyramid.append(max_pool2d(pyramid[3], kernel_size=1, stride=2))",
                "pyramid.append(max_pool2d(features[3], kernel_size=1, stride=2))",
            ),
        ),
    ),
    Fault(
        "fpn_pooled_p6",
        "fpn_functional",
        "P6 as the maximum of four cells.",
        "p6_is_every_second_cell_of_p5",
        (
            (
                "pyramid.append(max_pool2d(pyramid[3], kernel_size=1, stride=2))",
                "pyramid.append(max_pool2d(pyramid[3], kernel_size=2, stride=2, ceil_mode=True))",
            ),
        ),
    ),
    Fault(
        "fpn_twice_the_size",
        "fpn_functional",
        "Twice the size, one too many where a side is odd.",
        "five_levels_of_any_size",
        (
            (
                'merged[k] = merged[k] + interpolate(above, size=merged[k].shape[-2:], mode="nearest")',
                'merged[k] = merged[k] + interpolate(above, scale_factor=2, mode="nearest")',
            ),
        ),
    ),
    Fault(
        "roi_max_pool_disjoint_bins",
        "roi_max_pool_slices",
        "Bins are disjoint.",
        "bins_overlap_where_they_do_not_divide",
        (
            (
                "y = slice(max(top + i * h // S, 0), max(top + math.ceil((i + 1) * h / S), 0))",
                "y = slice(max(top + i * h // S, 0), max(top + (i + 1) * h // S, 0))",
            ),
            (
                "x = slice(max(left + j * w // S, 0), max(left + math.ceil((j + 1) * w / S), 0))",
                "x = slice(max(left + j * w // S, 0), max(left + (j + 1) * w // S, 0))",
            ),
        ),
    ),
    Fault(
        "roi_max_pool_first_image",
        "roi_max_pool_slices",
        "Always the first image.",
        "from_its_own_image",
        (
            (
                "for r, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):",
                "for r, (_, x1, y1, x2, y2) in enumerate(rois.tolist()):",
            ),
            ("window = features[int(image), :, y, x]", "window = features[0, :, y, x]"),
        ),
    ),
    Fault(
        "roi_max_pool_half_to_even",
        "roi_max_pool_slices",
        "Python's round takes 0.5 to 0 and 2.5 to 2.",
        "halves_round_away_from_zero",
        (("return int(math.copysign(math.floor(abs(x) + 0.5), x))", "return round(x)"),),
    ),
    Fault(
        "roi_max_pool_half_up",
        "roi_max_pool_slices",
        "floor(x + 0.5) takes -0.5 to 0.",
        "halves_round_away_from_zero",
        (("return int(math.copysign(math.floor(abs(x) + 0.5), x))", "return math.floor(x + 0.5)"),),
    ),
    Fault(
        "roi_max_pool_last_cell_left_out",
        "roi_max_pool_slices",
        "The second corner's cell does not belong to the RoI.",
        "both_corners_belong_to_it",
        (("h, w = bottom - top + 1, right - left + 1", "h, w = max(bottom - top, 1), max(right - left, 1)"),),
    ),
    Fault(
        "roi_max_pool_starts_from_zero",
        "roi_max_pool_slices",
        "The maximum starts from 0.",
        "negative_maxima_too",
        (
            (
                "result[r, :, i, j] = window.amax(dim=(1, 2))",
                "result[r, :, i, j] = window.amax(dim=(1, 2)).clamp(min=0)",
            ),
        ),
    ),
    Fault(
        "average_precision_ascending",
        "average_precision_torch",
        "The worst detection comes first.",
        "ranked_over_all_images",
        (
            (
                "(-s, number, d, b)",
                "(s, number, d, b)",
            ),
        ),
    ),
    Fault(
        "average_precision_claimed_twice",
        "average_precision_torch",
        "Every detection of an object is right.",
        "twice_found_is_once_right",
        (
            (
                "right.append(float(overlap >= iou_threshold and key not in claimed))",
                "right.append(float(overlap >= iou_threshold))",
            ),
        ),
    ),
    Fault(
        "average_precision_no_envelope",
        "average_precision_torch",
        "The saw teeth are left as they are.",
        "under_the_envelope",
        (("envelope = precision.flip(0).cummax(0).values.flip(0)", "envelope = precision"),),
    ),
    Fault(
        "average_precision_recall_of_the_found",
        "average_precision_torch",
        "Recall over the objects that were found.",
        "missed_objects_count",
        (
            (
                "precision, recall = found / torch.arange(1, len(right) + 1), found / max(objects, 1)",
                "precision, recall = found / torch.arange(1, len(right) + 1), found / found[-1:].clamp(min=1)",
            ),
        ),
    ),
    Fault(
        "average_precision_strictly_above",
        "average_precision_torch",
        "An IoU that equals the threshold is not enough.",
        "equal_to_the_threshold_is_enough",
        (
            (
                "right.append(float(overlap >= iou_threshold and key not in claimed))",
                "right.append(float(overlap > iou_threshold and key not in claimed))",
            ),
        ),
    ),
    Fault(
        "average_precision_undefined_is_zero",
        "average_precision_torch",
        "A class without objects counts as 0 in the mean.",
        "each_class_for_itself",
        (("ap[label] = math.nan", "ap[label] = 0.0"),),
    ),
)
