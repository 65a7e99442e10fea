"""Average precision against its definition in exact fractions, against pycocotools, and the laws it obeys."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from fasterfpn.engine.average_precision import average_precision, judge_detections, mean_at_recalls, precision_recall
from fasterfpn.laws.average_precision import exact_ap
from fasterfpn.laws.inputs import tensor

THRESHOLDS = ("0.25", "0.3", "0.5", "0.75", "1")  # with corners on a small grid, IoU often equals one of them
side = st.integers(1, 4)
corner = st.integers(0, 3)
box = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corner, corner, side, side)
score = st.sampled_from([0.2, 0.4, 0.6, 0.8])  # many ties
detection = st.tuples(box, st.integers(1, 2), score)
truth = st.tuples(box, st.integers(1, 2), st.booleans())


@st.composite
def one_image(draw):
    """Detections and truths; half of the detections have exactly the box and class of a truth."""
    wanted = draw(st.lists(truth, max_size=4))
    hits = [st.tuples(st.just(b), st.just(label), score) for b, label, _ in wanted]
    return draw(st.lists(st.one_of(detection, st.one_of(hits)) if hits else detection, max_size=6)), wanted


images = st.lists(one_image(), min_size=1, max_size=3)


def tensors(scene):
    """The arguments of `average_precision` for a list of (detections, truths)."""
    detections, targets = [], []
    for found, wanted in scene:
        boxes, labels, scores = zip(*found, strict=True) if found else ((), (), ())
        detections.append({"boxes": tensor(boxes), "labels": torch.tensor(labels, dtype=torch.int64)})
        detections[-1]["scores"] = torch.tensor(scores, dtype=torch.float32)
        boxes, labels, difficult = zip(*wanted, strict=True) if wanted else ((), (), ())
        targets.append({"boxes": tensor(boxes), "labels": torch.tensor(labels, dtype=torch.int64)})
        targets[-1]["difficult"] = torch.tensor(difficult, dtype=torch.bool)
    return detections, targets


@given(images, st.sampled_from(THRESHOLDS), st.sampled_from(["area", "11-point"]), st.booleans())
def test_equals_the_definition(scene, threshold, method, count_difficult):
    expected = {label: exact_ap(scene, label, threshold, method, count_difficult) for label in (1, 2)}
    result = average_precision(
        *tensors(scene), float(threshold), method, labels=(1, 2), count_difficult=count_difficult
    )
    for label in (1, 2):
        if expected[label] is None:
            assert math.isnan(result["AP"][label])
        else:
            assert result["AP"][label] == pytest.approx(float(expected[label]), abs=1e-12)
    defined = [value for value in expected.values() if value is not None]
    assert result["mAP"] == pytest.approx(float(sum(defined) / len(defined)) if defined else math.nan, nan_ok=True)


@given(images, st.sampled_from(["area", "11-point"]))
def test_the_truth_as_detections_has_exactly_one(scene, method):
    wanted = [[entry for k, entry in enumerate(w) if entry[:2] not in [e[:2] for e in w[:k]]] for _, w in scene]
    assume(any(wanted))
    found = [[(b, label, 0.9 - 0.1 * k) for k, (b, label, _) in enumerate(w)] for w in wanted]
    result = average_precision(*tensors(zip(found, wanted, strict=True)), 0.5, method, count_difficult=True)
    assert result["mAP"] == 1.0
    assert set(result["AP"].values()) == {1.0}


@pytest.mark.parametrize("method", ["area", "11-point"])
def test_no_number_of_objects_rounds_a_perfect_detector_off_one(method):
    for count in range(1, 80):
        boxes = [(20 * k, 0, 20 * k + 10, 10) for k in range(count)]
        scene = tensors([([(b, 1, 0.9) for b in boxes], [(b, 1, False) for b in boxes])])
        assert average_precision(*scene, method=method)["mAP"] == 1.0


@given(images, st.floats(0.1, 10), st.sampled_from(["area", "11-point"]))
def test_only_the_order_of_the_scores_counts(scene, power, method):
    detections, targets = tensors(scene)
    changed = [found | {"scores": found["scores"] ** power} for found in detections]
    before, after = (average_precision(d, targets, 0.5, method) for d in (detections, changed))
    assert before["mAP"] == pytest.approx(after["mAP"], nan_ok=True, abs=0)


@given(images, st.integers(1, 2))
def test_a_last_false_positive_changes_nothing_and_a_first_one_never_helps(scene, label):
    def with_miss(score):
        found, wanted = scene[0]
        return average_precision(*tensors([([*found, ((90, 90, 95, 95), label, score)], wanted), *scene[1:]]))["AP"]

    plain = average_precision(*tensors(scene), labels=(1, 2))["AP"][label]
    assert with_miss(0.01)[label] == pytest.approx(plain, nan_ok=True, abs=0)
    assert math.isnan(plain) or with_miss(0.99)[label] <= plain


@given(images)
def test_a_difficult_box_need_not_be_found_and_finding_it_is_ignored(scene):
    """Leaving out the difficult boxes, and the detections that claim them, gives the same figure."""
    detections, targets = tensors(scene)
    kept_detections, kept_targets = [], []
    for found, wanted in zip(detections, targets, strict=True):
        keep = torch.ones(len(found["labels"]), dtype=torch.bool)
        for label in (1, 2):
            mine, theirs = found["labels"] == label, wanted["labels"] == label
            outcome = judge_detections(
                found["boxes"][mine], found["scores"][mine], wanted["boxes"][theirs], wanted["difficult"][theirs]
            )
            keep[mine] = outcome >= 0
        kept_detections.append({name: value[keep] for name, value in found.items()})
        plain = ~wanted["difficult"]
        kept_targets.append({name: wanted[name][plain] for name in ("boxes", "labels")})
    before = average_precision(detections, targets, labels=(1, 2))
    after = average_precision(kept_detections, kept_targets, labels=(1, 2))
    assert before["mAP"] == pytest.approx(after["mAP"], nan_ok=True, abs=0)


@st.composite
def scattered(draw):
    """Truths far apart, so that a detection meets one at most: there VOC's and COCO's ways of matching agree."""
    scene = []
    for _ in range(draw(st.integers(1, 3))):
        cells = draw(st.lists(st.integers(0, 3), unique=True, max_size=4))
        wanted = [((100 * cell, 0, 100 * cell + 8, 8), 1, False) for cell in cells]
        found = []
        placed = st.tuples(st.integers(0, 3), st.integers(0, 8), st.integers(0, 2), st.sampled_from([0.3, 0.5, 0.9]))
        for cell, x, y, score in draw(st.lists(placed)):
            found.append(((100 * cell + x, y, 100 * cell + x + 8, y + 8), 1, score))
        scene.append((found, wanted))
    return scene


@given(scattered())
def test_agrees_with_pycocotools(scene):
    """The same matches, and the same mean of the envelope at COCO's 101 recalls."""
    pytest.importorskip("pycocotools")
    evaluation = coco_evaluation(scene)
    detections, targets = tensors(scene)
    for number, (found, wanted) in enumerate(zip(detections, targets, strict=True)):
        ours = judge_detections(found["boxes"], found["scores"], wanted["boxes"], wanted["difficult"])
        order = found["scores"].argsort(descending=True, stable=True)
        theirs = evaluation.evalImgs[number]
        assert ours[order].tolist() == ([] if theirs is None else (theirs["dtMatches"][0] > 0).astype(int).tolist())
    precision, recall, positives = precision_recall(detections, targets, 1)
    if positives:
        ours = mean_at_recalls(precision, recall, torch.arange(101, dtype=torch.float64) / 100)
        assert ours == pytest.approx(evaluation.eval["precision"][0, :, 0, 0, 0].mean(), abs=1e-12)


def coco_evaluation(scene):
    """pycocotools' own run over the scene, at IoU 0.5, at exact recalls and with no limit on detections."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def entries(column):
        for number, pair in enumerate(scene):
            for (x1, y1, x2, y2), label, value in pair[column]:
                bbox = [x1, y1, x2 - x1, y2 - y1]
                yield {"image_id": number + 1, "category_id": label, "bbox": bbox, "area": bbox[2] * bbox[3]}, value

    def with_ids(items):
        return [item | {"id": number, "iscrowd": 0} for number, item in enumerate(items, start=1)]

    base = {"images": [{"id": number + 1} for number in range(len(scene))], "categories": [{"id": 1}]}
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = COCO(), COCO()
        truth.dataset = base | {"annotations": with_ids(item for item, _ in entries(1))}
        found.dataset = base | {"annotations": with_ids(item | {"score": score} for item, score in entries(0))}
        truth.createIndex()
        found.createIndex()
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.recThrs = np.arange(101) / 100  # linspace has 0.7000000000000001
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [10_000]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def test_by_hand():
    """Two truths; right, wrong, right: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1."""
    a, b, nowhere = (0, 0, 10, 10), (20, 0, 30, 10), (50, 50, 60, 60)
    scene = tensors([([(a, 1, 0.9), (nowhere, 1, 0.8), (b, 1, 0.7)], [(a, 1, False), (b, 1, False)])])
    assert average_precision(*scene)["AP"][1] == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)
    assert average_precision(*scene, method="11-point")["AP"][1] == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)


def test_finding_a_difficult_box_is_ignored_even_twice_and_missing_it_is_free():
    easy, hard, unseen = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)
    found = [(hard, 1, 0.9), (hard, 1, 0.8), (easy, 1, 0.7)]
    scene = tensors([(found, [(easy, 1, False), (hard, 1, True), (unseen, 1, True)])])
    assert average_precision(*scene)["AP"][1] == 1.0
    counted = average_precision(*scene, count_difficult=True)["AP"][1]  # right, wrong, right; one of three is missed
    assert counted == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)


def test_recall_on_one_of_the_eleven_points_reaches_it():
    """3 of 10 found: recall 0.3 counts for the point 0.3, though 3 * 0.1 > 0.3 in floating point."""
    boxes = [(20 * k, 0, 20 * k + 10, 10) for k in range(10)]
    for found in range(11):
        scene = tensors([([(b, 1, 0.9) for b in boxes[:found]], [(b, 1, False) for b in boxes])])
        expected = (found + 1) / 11 if found else 0
        assert average_precision(*scene, method="11-point")["AP"][1] == pytest.approx(expected, abs=1e-12)


def test_a_second_claim_is_false_even_where_the_second_best_box_is_free():
    boxes, scores = tensor([(0, 0, 8, 8), (1, 0, 9, 8)]), torch.tensor([0.9, 0.8])
    truth_boxes = tensor([(0, 0, 8, 8), (3, 0, 11, 8)])  # IoU with the second detection 7/9 and 6/10
    assert judge_detections(boxes, scores, truth_boxes, torch.zeros(2, dtype=torch.bool)).tolist() == [1, 0]


def test_classes_without_truth_are_left_out_of_the_mean():
    a = (0, 0, 10, 10)
    result = average_precision(*tensors([([(a, 1, 0.9), (a, 2, 0.9)], [(a, 1, False)])]), labels=(1, 2, 3))
    assert result["AP"][1] == result["mAP"] == 1.0
    assert math.isnan(result["AP"][2]) and math.isnan(result["AP"][3])
    assert math.isnan(average_precision([], [])["mAP"])
    assert math.isnan(average_precision([], [], labels=[1])["AP"][1])


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (([], [{}]), "targets"),
        (([{}], [{"boxes": torch.tensor([[0.0, 0, math.nan, 1]])}]), "finite"),
        (([], [], 0.0), "iou_threshold"),
        (([], [], 1.1), "iou_threshold"),
        (([], [], 0.5, "coco"), "method"),
    ],
)
def test_wrong_arguments_are_named(arguments, name):
    with pytest.raises(ValueError, match=name):
        average_precision(*arguments)
