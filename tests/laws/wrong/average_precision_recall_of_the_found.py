"""Recall over the objects that were found. Breaks missed_objects_count."""

import math

import torch

from fasterfpn.geometry import box_iou


def average_precision(detections, targets, iou_threshold=0.5, method="area"):
    labels = torch.cat([image["labels"] for image in [*detections, *targets]]).unique().tolist()
    ap = {}
    for label in labels:
        right, objects = judge(detections, targets, label, iou_threshold)
        found = right.cumsum(0)
        precision, recall = found / torch.arange(1, len(right) + 1), found / found[-1:].clamp(min=1)
        envelope = precision.flip(0).cummax(0).values.flip(0)
        if objects == 0:
            ap[label] = math.nan
        elif method == "area":
            ap[label] = (
                ((recall - torch.cat([torch.zeros(1), recall[:-1]])) * envelope).sum().item() if len(right) else 0.0
            )
        else:
            ap[label] = sum(max([*envelope[recall >= k / 10 - 1e-6].tolist(), 0.0]) for k in range(11)) / 11
    defined = [value for value in ap.values() if not math.isnan(value)]
    return {"mAP": sum(defined) / len(defined) if defined else math.nan, "AP": ap}


def judge(detections, targets, label, iou_threshold):
    ranking, objects = [], 0
    for number, (image, target) in enumerate(zip(detections, targets)):
        mine = image["labels"] == label
        ranking += [
            (-s, number, d, b) for d, (s, b) in enumerate(zip(image["scores"][mine].tolist(), image["boxes"][mine]))
        ]
        objects += int((target["labels"] == label).sum())
    claimed, right = set(), []
    for _, number, _, box in sorted(ranking, key=lambda row: row[:3]):
        truth = targets[number]["boxes"][targets[number]["labels"] == label]
        overlap, g = box_iou(box[None], truth)[0].max(dim=0) if len(truth) else (0.0, -1)
        key = number, int(g)
        right.append(float(overlap >= iou_threshold and key not in claimed))
        if right[-1]:
            claimed.add(key)
    return torch.tensor(right), objects
