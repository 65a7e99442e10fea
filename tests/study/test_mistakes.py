"""The worst misses and false alarms."""

import torch

from fasterfpn.study.mistakes import worst_false_alarms, worst_misses

CLASSES = ("dent", "scratch")
DENT, SCRATCH, FREE = (0, 0, 20, 20), (40, 0, 90, 20), (0, 60, 20, 80)


def image(*objects):
    """Objects (box, label) or (box, label, score)."""
    content = {
        "boxes": torch.tensor([entry[0] for entry in objects]).float().reshape(-1, 4),
        "labels": torch.tensor([entry[1] for entry in objects], dtype=torch.int64),
    }
    return content | {"scores": torch.tensor([float(entry[2]) for entry in objects if len(entry) > 2])}


TARGETS = [image((DENT, 1), (SCRATCH, 2)), image((DENT, 1)), image((DENT, 1))]


def test_misses_come_first_then_the_least_certain():
    detections = [image((DENT, 1, 0.3)), image((DENT, 2, 0.9)), image((DENT, 1, 0.6), (DENT, 1, 0.2))]
    misses = worst_misses(detections, TARGETS, CLASSES, 5)
    assert [(one.image, one.label, round(one.score, 3), one.reason) for one in misses] == [
        (0, 2, 0.0, "nothing"),
        (1, 1, 0.0, "scratch, IoU 1.00"),
        (2, 1, 0.6, "found"),
    ]
    assert misses[0].box == SCRATCH
    assert worst_misses(detections, TARGETS, CLASSES, 1) == misses[:1]


def test_false_alarms_come_by_score_and_say_what_is_there():
    detections = [
        image((FREE, 1, 0.5), (DENT, 1, 0.99)),
        image((DENT, 2, 0.7)),
        image((DENT, 1, 0.6), (DENT, 1, 0.55), ((0, 0, 20, 9), 1, 0.4)),
    ]
    alarms = worst_false_alarms(detections, TARGETS, CLASSES, 5)
    assert [(one.image, one.label, one.reason) for one in alarms] == [
        (1, 2, "dent, IoU 1.00"),
        (2, 1, "found twice"),
        (0, 1, "nothing there"),
    ]


def test_without_images_or_mistakes_there_are_none():
    assert worst_misses([], [], CLASSES, 3) == worst_false_alarms([], [], CLASSES, 3) == []
    assert worst_false_alarms([image((DENT, 1, 0.9))], TARGETS[1:2], CLASSES, 3) == []
