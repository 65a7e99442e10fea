"""Laws of average precision: which detection is right, and what a ranking of right and wrong is worth."""

import math
from fractions import Fraction

import torch
from hypothesis import strategies as st

from fasterfpn import engine
from fasterfpn.laws.inputs import exact_iou, random_boxes, tensor
from fasterfpn.laws.law import expect, expect_that, law

# At most three truths of a class, so that no recall lies between two of the eleven points by a rounding.
method = st.sampled_from(["area", "11-point"])
threshold = st.sampled_from([0.25, 0.5, 0.75, 1.0])
side, corner = st.integers(1, 4), st.integers(0, 3)
box = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corner, corner, side, side)
score = st.sampled_from([0.2, 0.4, 0.6, 0.8])  # many ties
detection = st.tuples(box, st.just(1), score)


@st.composite
def one_image(draw):
    """(detections, truths) of class 1; half of the detections have exactly the box of a truth."""
    truths = [(b, 1) for b in draw(st.lists(box, max_size=1))]
    truths += [(b, 1) for b in draw(st.lists(box, max_size=2))]
    hits = [st.tuples(st.just(b), st.just(1), score) for b, _ in truths]
    return draw(st.lists(st.one_of(detection, *hits), max_size=4)), truths[:2]


scenes = st.lists(one_image(), min_size=1, max_size=2).filter(lambda scene: sum(len(t) for _, t in scene) <= 3)
rankings = st.lists(st.booleans(), max_size=6).filter(lambda ranking: sum(ranking) <= 3)


def arguments(scene):
    """detections and targets of a list of (detections, truths), one mapping an image each."""
    detections, targets = [], []
    for found, truths in scene:
        boxes, labels, scores = ([entry[k] for entry in found] for k in range(3))
        detections.append({"boxes": tensor(boxes), "labels": torch.tensor(labels, dtype=torch.int64)})
        detections[-1]["scores"] = torch.tensor(scores, dtype=torch.float32)
        boxes, labels = ([entry[k] for entry in truths] for k in range(2))
        targets.append({"boxes": tensor(boxes), "labels": torch.tensor(labels, dtype=torch.int64)})
    return detections, targets


def exact_ap(scene, label, threshold, method, count_difficult=True):
    """The definition, in fractions; None without ground truth. A truth may have a third entry: difficult or not."""
    ranking = [
        (-score, number, place, found_box)
        for number, (found, _) in enumerate(scene)
        for place, (found_box, found_label, score) in enumerate(found)
        if found_label == label
    ]
    truths = {
        (number, place): (truth_box, any(difficult) and not count_difficult)
        for number, (_, wanted) in enumerate(scene)
        for place, (truth_box, truth_label, *difficult) in enumerate(wanted)
        if truth_label == label
    }
    seen, outcomes = set(), []
    for _, number, _, found_box in sorted(ranking):
        overlaps = [(exact_iou(found_box, b), -key[1], key) for key, (b, _) in truths.items() if key[0] == number]
        overlap, _, key = max(overlaps, default=(Fraction(0), 0, None))
        claims = overlap >= Fraction(threshold)
        if claims and truths[key][1]:
            continue
        outcomes.append(claims and key not in seen)
        seen |= {key} if claims else set()
    positives = sum(not ignored for _, ignored in truths.values())
    return worth(outcomes, positives, method) if positives else None


def worth(outcomes, positives, method):
    """The average precision of right and wrong by descending score, a Fraction."""
    points, true = [], 0
    for rank, right in enumerate(outcomes, start=1):
        true += right
        points.append((Fraction(true, positives), Fraction(true, rank)))

    def height(recall):
        return max((p for r, p in points if r >= recall), default=Fraction(0))

    if method == "11-point":
        return sum(height(Fraction(k, 10)) for k in range(11)) / 11
    return sum(height(Fraction(k, positives)) for k in range(1, positives + 1)) / positives


def result(average_precision, scene, threshold=0.5, method="area"):
    """The mapping that the implementation returns."""
    found = average_precision(*arguments(scene), threshold, method)
    keys = isinstance(found, dict) and {"mAP", "AP"} <= found.keys() and isinstance(found["AP"], dict)
    expect_that(keys, 'a dictionary {"mAP": float, "AP": {label: float}} comes back')
    return {"mAP": found["mAP"], "AP": {int(label): value for label, value in found["AP"].items()}}


def check(average_precision, scene, threshold=0.5, method="area"):
    """AP of class 1 against the definition."""
    due = exact_ap(scene, 1, threshold, method)
    got = result(average_precision, scene, threshold, method)["AP"].get(1, math.nan)
    expect(got, math.nan if due is None else float(due), "AP of class 1")


def far(number):
    """A box that meets no other."""
    return (100 * number, 0, 100 * number + 10, 10)


def ranked(ranking, missed=0):
    """A scene of one image whose detections, best first, are right or wrong as in `ranking`."""
    found = [(far(i), 1, 1 - i / 10) for i in range(len(ranking))]
    return [
        (found, [(far(i), 1) for i, right in enumerate(ranking) if right] + [(far(50 + i), 1) for i in range(missed)])
    ]


@law(count=st.integers(1, 3), method=method)
def perfect_is_one(average_precision, count, method):
    """A detector that finds every object and nothing else has AP 1."""
    check(average_precision, ranked([True] * count), 0.5, method)


@law(
    images=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=3),
)
def ranked_over_all_images(average_precision, images):
    """The detections of all images are ranked together, best score first; each meets the objects of its own image."""
    scene = []
    for number, (right, wrong) in enumerate([(1, 0), *images[1:]]):
        found = [(far(9 - i), 1, 0.1 + i / 10) for i in range(wrong)] + [
            (far(i), 1, 0.9 - number / 10) for i in range(right)
        ]
        scene.append((found, [(far(i), 1) for i in range(right)]))
    check(average_precision, scene)


@law(
    ranking=rankings,
    missed=st.integers(0, 1),
    method=method,
)
def under_the_envelope(average_precision, ranking, missed, method):
    """Precision counts as the best there or at any higher recall: the envelope."""
    check(average_precision, ranked(ranking, 0 if sum(ranking) == 3 else missed), 0.5, method)


@law(copies=st.integers(2, 4), missed=st.integers(0, 1), method=method)
def twice_found_is_once_right(average_precision, copies, missed, method):
    """A second detection of the same object is wrong."""
    truths = [(far(0), 1), (far(1), 1)] + [(far(5), 1)] * missed
    found = [(far(0), 1, 0.9 - i / 10) for i in range(copies)] + [(far(1), 1, 0.1)]
    check(average_precision, [(found, truths)], 0.5, method)


@law(found=st.integers(0, 2), missed=st.integers(1, 3), method=method)
def missed_objects_count(average_precision, found, missed, method):
    """An object that is never found costs recall."""
    check(average_precision, ranked([True] * found, min(missed, 3 - found)), 0.5, method)


@law(
    wide=st.sampled_from([1, 2, 3, 4]),
    threshold=threshold,
)
def equal_to_the_threshold_is_enough(average_precision, wide, threshold):
    """A detection is right from an IoU equal to the threshold on."""
    scene = [([((0, 0, wide, 4), 1, 0.8)], [((0, 0, 4, 4), 1)])]  # IoU wide / 4
    check(average_precision, scene, threshold)


@law(
    labels=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    truths=st.lists(st.integers(1, 2), min_size=1, max_size=2),
)
def each_class_for_itself(average_precision, labels, truths):
    """Classes are judged apart; one without ground truth is NaN and left out of the mean."""
    scene = [
        (
            [(far(i), label, 0.9 - i / 10) for i, label in enumerate(labels)],
            [(far(i), label) for i, label in enumerate(truths)],
        )
    ]
    got = result(average_precision, scene)
    due = {label: exact_ap(scene, label, 0.5, "area") for label in sorted({*labels, *truths})}
    for label, each in due.items():
        expect(got["AP"].get(label, math.nan), math.nan if each is None else float(each), f"AP of class {label}")
    defined = [float(each) for each in due.values() if each is not None]
    expect(got["mAP"], sum(defined) / len(defined), "mAP")


@law(
    found=st.lists(st.integers(0, 6), min_size=1, max_size=3),
)
def one_claim_each(average_precision, found):
    """A detection claims the object it overlaps most; if that is taken, it is wrong, though another one is free."""
    truths = [((0, 0, 8, 8), 1), ((3, 0, 11, 8), 1)]
    check(average_precision, [([((x, 0, x + 8, 8), 1, 0.9 - i / 10) for i, x in enumerate(found)], truths)])


@law(
    scene=scenes,
    threshold=threshold,
    method=method,
)
def follows_from_the_definition(average_precision, scene, threshold, method):
    """All of it together. Of equal scores, the earlier image and the earlier detection come first."""
    check(average_precision, scene, threshold, method)


reference = engine.average_precision


def typical():
    """20 images with 10 detections each, of 3 classes."""
    images = []
    for number in range(20):
        boxes, generator = random_boxes(10, 100.0, number), torch.Generator().manual_seed(number)
        labels, scores = torch.randint(1, 4, (10,), generator=generator), torch.rand(10, generator=generator)
        images.append(
            ({"boxes": boxes, "labels": labels, "scores": scores}, {"boxes": boxes[:5] + 1, "labels": labels[:5]})
        )
    return [found for found, _ in images], [truth for _, truth in images]
