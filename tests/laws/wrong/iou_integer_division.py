"""// for /. Breaks shared_over_covered."""

import torch


def box_iou(boxes1, boxes2):
    result = torch.zeros(len(boxes1), len(boxes2))
    for i, a in enumerate(boxes1.tolist()):
        for j, b in enumerate(boxes2.tolist()):
            inter = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
            area = [max(0, x2 - x1) * max(0, y2 - y1) for x1, y1, x2, y2 in (a, b)]
            union = sum(area) - inter
            result[i, j] = inter // union if union > 0 else 0
    return result
