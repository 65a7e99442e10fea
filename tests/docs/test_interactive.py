"""The interactive figures compute what the package computes: Node runs their scripts on random inputs, to 1e-9."""

import json
import os
import shutil
import subprocess

import pytest
import torch
from extensions import chapters, interactive
from figures import interactive as interactive_data
from links import DOCS, pages

from fasterfpn.engine.average_precision import average_precision, precision_recall
from fasterfpn.geometry import box_area, box_iou
from fasterfpn.ops import nms

SCRIPTS = DOCS / "static" / "figures"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None and not os.environ.get("CI"), reason="runs the figures' scripts in node")


def in_node(script, expression, cases):
    """Return the values of a JavaScript expression: `m` is the module, `c` each of the cases."""
    program = (
        f"const m = require({json.dumps(str(SCRIPTS / script))});"
        f"const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        f"process.stdout.write(JSON.stringify(cases.map((c) => {expression})));"
    )
    done = subprocess.run([NODE, "-e", program], input=json.dumps(cases), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def some_boxes(count, seed, side=40):
    """Boxes (count, 4) float64 that often meet; the first third on whole numbers, some of these empty or inverted."""
    random = generator(seed)
    corner = side * torch.rand(count, 2, generator=random, dtype=torch.float64)
    size = side * torch.rand(count, 2, generator=random, dtype=torch.float64)
    boxes = torch.cat([corner, corner + size], dim=1)
    whole = torch.randint(0, 8, (count // 3, 4), generator=random)
    boxes[: count // 3] = whole.double()
    return boxes


@needs_node
def test_areas_and_iou():
    a, b = some_boxes(600, 1), some_boxes(600, 2)
    cases = list(zip(a.tolist(), b.tolist()))
    found = in_node("iou.js", "[m.area(c[0]), m.iou(c[0], c[1]), m.intersection(...c) / m.union(...c) || 0]", cases)
    area, iou, ratio = torch.tensor(found, dtype=torch.float64).unbind(1)
    expected = torch.stack([box_iou(one[None], other[None])[0, 0] for one, other in zip(a, b)])
    assert (expected > 0).sum() > 100
    torch.testing.assert_close(area, box_area(a), rtol=0, atol=1e-9)
    torch.testing.assert_close(iou, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(ratio, expected, rtol=0, atol=1e-9)


@needs_node
def test_a_dragged_box_stays_in_its_bounds_and_keeps_its_size():
    random = generator(3)
    boxes = torch.randint(0, 10, (300, 4), generator=random).sort(dim=1).values
    ways = torch.randint(-15, 16, (300, 2), generator=random)
    cases = torch.cat([boxes, ways], dim=1).tolist()
    rule = "{ bounds: [0, 0, 12, 12], step: 1, least: 0 }"
    moved = torch.tensor(in_node("drag.js", f"m.moved(c.slice(0, 4), c[4], c[5], {rule})", cases))
    torch.testing.assert_close(moved[:, 2:] - moved[:, :2], boxes[:, 2:] - boxes[:, :2])
    free = ((boxes + ways.repeat(1, 2) >= 0) & (boxes + ways.repeat(1, 2) <= 12)).all(dim=1)
    assert free.any() and ((moved >= 0) & (moved <= 12)).all()
    torch.testing.assert_close(moved[free], (boxes + ways.repeat(1, 2))[free])
    for corner in range(4):
        resized = in_node("drag.js", f"m.resized(c.slice(0, 4), {corner}, c[4], c[5], {rule})", cases)
        resized = torch.tensor(resized)
        assert ((resized >= 0) & (resized <= 12)).all() and (resized[:, 2:] >= resized[:, :2]).all()
        assert ((resized != boxes).sum(dim=1) <= 2).all()


@needs_node
def test_nms_keeps_and_strikes_out_as_the_operator():
    random = generator(4)
    cases, kept, suppressed = [], [], 0
    for seed in range(80):
        boxes = some_boxes(12, 100 + seed, side=8)
        scores = torch.randint(0, 8, (12,), generator=random).double() / 8  # some are equal
        threshold = torch.randint(0, 61, (), generator=random).item() / 100
        kept.append(nms(boxes, scores, threshold).tolist())
        cases.append({"boxes": boxes.tolist(), "scores": scores.tolist(), "threshold": threshold})
    found = in_node("nms.js", "m.steps(c.boxes, c.scores, c.threshold)", cases)
    assert [[step["kept"] for step in steps] for steps in found] == kept
    for case, steps in zip(cases, found):
        gone = [other["index"] for step in steps for other in step["suppressed"]]
        assert sorted(gone + [step["kept"] for step in steps]) == list(range(12))  # each box exactly once
        boxes = torch.tensor(case["boxes"], dtype=torch.float64)
        iou = box_iou(boxes, boxes)
        for step in steps:
            for other in step["suppressed"]:
                assert abs(other["iou"] - iou[step["kept"], other["index"]]) < 1e-9
                assert other["iou"] > case["threshold"]
                suppressed += 1
    assert suppressed > 100


@needs_node
def test_both_average_precisions_and_the_curve():
    random = generator(5)
    cases, expected = [], []
    for _ in range(150):
        count = int(torch.randint(1, 13, (), generator=random))
        right = torch.rand(count, generator=random) < 0.6
        defects = max(1, int(right.sum()) + int(torch.randint(0, 4, (), generator=random)))
        cases.append({"right": right.tolist(), "defects": defects})
        expected.append(judged_by_the_package(right, defects))
    points = "m.curve(c.right, c.defects)"
    found = in_node(
        "average_precision.js",
        f"[m.area({points}), m.elevenPoints({points}), {points}.map((p) => [p.precision, p.recall])]",
        cases,
    )
    for (area, eleven, points), (wanted_area, wanted_eleven, wanted) in zip(found, expected):
        assert abs(area - wanted_area) < 1e-9 and abs(eleven - wanted_eleven) < 1e-9
        torch.testing.assert_close(torch.tensor(points, dtype=torch.float64), wanted, rtol=0, atol=1e-9)


def judged_by_the_package(right, defects):
    """Both APs and the curve of detections in that order: a right one on a defect of its own, a wrong one apart."""
    place = torch.where(right, right.cumsum(0) - 1, -5).double()
    corners = torch.stack([20 * place, torch.zeros(len(right)).double()], dim=1)
    truth = torch.stack([20 * torch.arange(defects).double(), torch.zeros(defects).double()], dim=1)
    ones = {"labels": torch.ones(len(right), dtype=torch.int64), "scores": torch.linspace(0.9, 0.1, len(right))}
    detections = [{"boxes": torch.cat([corners, corners + 10], dim=1), **ones}]
    targets = [{"boxes": torch.cat([truth, truth + 10], dim=1), "labels": torch.ones(defects, dtype=torch.int64)}]
    area, eleven = (average_precision(detections, targets, method=method)["mAP"] for method in ("area", "11-point"))
    precision, recall, _ = precision_recall(detections, targets, 1)
    return area, eleven, torch.stack([precision, recall], dim=1)


def test_the_figures_show_the_numbers_of_the_chapters():
    written = (SCRIPTS / "data.js").read_text(encoding="utf-8")
    assert written == interactive_data.script("FIGURE_DATA", interactive_data.data()), (
        "run python docs/figures/interactive.py"
    )


def test_every_figure_stands_on_one_page_before_a_still_picture():
    texts = [page.read_text(encoding="utf-8") for page in pages()]
    marks = [(match[1], text[match.end() :]) for text in texts for match in interactive.MARK.finditer(text)]
    assert sorted(name for name, _ in marks) == sorted(interactive.SCRIPTS)
    assert all(rest.startswith("![") for _, rest in marks)


def test_every_script_is_there_small_and_used():
    files = {file.stem: file for file in SCRIPTS.glob("*.js")}
    assert {script for scripts in interactive.SCRIPTS.values() for script in scripts} == set(files)
    assert {name for name, file in files.items() if len(file.read_text(encoding="utf-8").splitlines()) > 300} == set()


def test_a_mark_becomes_a_place_and_an_unknown_one_breaks_the_build():
    page = DOCS / "01_two_boxes.md"
    site = chapters.for_site("<!-- figure: iou -->\n![a](b.svg)\n", page)
    assert '<div class="interactive" data-figure="iou"></div>' in site and site.endswith("\n![a](b.svg)\n")
    with pytest.raises(KeyError, match="nonsense"):
        chapters.for_site("<!-- figure: nonsense -->\n![a](b.svg)\n", page)
