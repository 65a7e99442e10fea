"""Average precision: judge, count, and take the area or eleven heights under the envelope."""

import math

from fasterfpn.geometry import box_iou


def average_precision(detections, targets, iou_threshold=0.5, method="area"):
    labels = sorted({int(label) for image in [*detections, *targets] for label in image["labels"]})
    ap = {}
    for label in labels:
        right, objects = judge(detections, targets, label, iou_threshold)
        ap[label] = worth(right, objects, method) if objects > 0 else math.nan
    defined = [value for value in ap.values() if not math.isnan(value)]
    return {"mAP": sum(defined) / len(defined) if defined else math.nan, "AP": ap}


def judge(detections, targets, label, iou_threshold):
    """Right or wrong of each detection of a class by descending score, and the number of objects."""
    judged, objects = [], 0
    for image, target in zip(detections, targets):
        truth, found = target["boxes"][target["labels"] == label], image["labels"] == label
        boxes, scores = image["boxes"][found], image["scores"][found]
        objects += len(truth)
        claimed = set()
        for d in sorted(range(len(boxes)), key=lambda d: -scores[d]):
            right = False
            if len(truth) > 0:
                overlap, claim = box_iou(boxes[d][None], truth)[0].max(dim=0)
                right = bool(overlap >= iou_threshold) and int(claim) not in claimed
                if right:
                    claimed.add(int(claim))
            judged.append((float(scores[d]), right))
    judged.sort(key=lambda pair: -pair[0])  # Python's sort keeps the order of equals
    return [right for _, right in judged], objects


def worth(right, objects, method):
    """The average precision of a ranking."""
    precision, recall, found = [], [], 0
    for rank, each in enumerate(right, start=1):
        found += each
        precision.append(found / rank)
        recall.append(found / objects)
    envelope = [max(precision[rank:]) for rank in range(len(right))]
    if method == "area":
        before = [0.0, *recall]
        return sum((recall[rank] - before[rank]) * envelope[rank] for rank in range(len(right)))
    heights = [max((e for e, r in zip(envelope, recall) if r >= k / 10), default=0.0) for k in range(11)]
    return sum(heights) / 11
