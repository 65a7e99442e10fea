"""Plain Python, lists out."""


def match_boxes(candidates, boxes, low, high, best_for_each=False):
    table = [[iou(c, b) for b in boxes.tolist()] for c in candidates.tolist()]
    labels, matched = [], []
    for row in table:
        best = max(row, default=0)
        matched.append(row.index(best) if row else 0)
        if not row:
            labels.append(0)
        else:
            labels.append(1 if best >= high else 0 if best < low else -1)
    if best_for_each and table:
        for column in zip(*table):
            if max(column) > 0:
                labels[column.index(max(column))] = 1
    return labels, matched


def iou(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0 or a[2] <= a[0] or a[3] <= a[1] or b[2] <= b[0] or b[3] <= b[1]:
        return 0.0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)
