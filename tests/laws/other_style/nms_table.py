"""Over the table of all pairs, numpy, a list out."""

import numpy as np


def nms(boxes, scores, iou_threshold):
    b, order = boxes.numpy().astype(np.float64), np.argsort(-scores.numpy(), kind="stable")
    sides = np.maximum(np.minimum(b[:, None, 2:], b[:, 2:]) - np.maximum(b[:, None, :2], b[:, :2]), 0)
    area = np.maximum(b[:, 2:] - b[:, :2], 0).prod(1)
    inter = sides.prod(2)
    iou = inter / np.maximum(area[:, None] + area - inter, 1e-12)
    kept = []
    for i in order:
        if all(iou[i, j] <= iou_threshold for j in kept):
            kept.append(int(i))
    return kept
