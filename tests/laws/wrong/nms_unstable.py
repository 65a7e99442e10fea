"""An ascending sort read backwards turns equals round. Breaks ties_go_to_the_lower_index."""

import torch

from fasterfpn.geometry import box_iou


def nms(boxes, scores, iou_threshold):
    order, kept = torch.argsort(scores, stable=True).tolist(), []
    while order:
        best = order.pop()
        kept.append(best)
        order = [i for i in order if box_iou(boxes[best][None], boxes[i][None]).item() <= iou_threshold]
    return torch.tensor(kept, dtype=torch.int64)
