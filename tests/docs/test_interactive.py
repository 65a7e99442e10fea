"""The interactive figures compute what the package computes: Node runs their scripts on random inputs, to 1e-9."""

import json
import os
import shutil
import subprocess

import pytest
import torch
from extensions import chapters, interactive
from figures import interactive as interactive_data
from figures.running import running_image
from links import DOCS, pages

from fasterfpn.engine.average_precision import average_precision, precision_recall
from fasterfpn.geometry import assign_levels, box_area, box_iou, match_boxes, pyramid_anchors
from fasterfpn.ops import nms, reference

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
    expected = box_iou(a, b).diagonal()
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
        if seed % 2:  # one IoU equals the threshold, and does not exceed it
            threshold = box_iou(boxes, boxes).triu(1).flatten().sort().values[-8].item()
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


@needs_node
def test_anchors_and_their_labels():
    random = generator(6)
    cases, expected = [], []
    for _ in range(60):
        size = torch.randint(20, 90, (2,), generator=random).tolist()
        stride = 2 ** int(torch.randint(2, 5, (), generator=random))
        area = float(torch.randint(8, 40, (), generator=random)) ** 2
        ratios = (2 ** torch.randint(-4, 5, (2,), generator=random).double()).tolist()
        best = bool(torch.rand((), generator=random) < 0.5)
        truths = some_boxes(9, int(torch.randint(0, 10**6, (), generator=random)))[2:5]  # the first may be empty
        (anchors,) = pyramid_anchors(size, (area,), ratios, (stride,), dtype=torch.float64)
        highest = box_iou(truths, anchors).amax(dim=0).sort().values
        low, high = highest[-len(highest) // 8].item(), highest[-2].item()  # thresholds that are reached exactly
        cases.append({"size": size, "stride": stride, "area": area, "ratios": ratios, "truths": truths.tolist()})
        cases[-1]["rule"] = {"low": low, "high": high, "best": best}
        labels, _ = match_boxes(anchors, truths, low, high, best_for_each=best)
        expected.append((anchors, labels, box_iou(truths, anchors).amax(dim=1)))
    of_level = "m.ofLevel(c.size, c.stride, c.area, c.ratios)"
    matched = f"m.match({of_level}, c.truths, c.rule)"
    found = in_node(
        "anchors.js",
        f"[Array.from({of_level}), Array.from({matched}.labels), {matched}.bests.map((b) => b.iou)]",
        cases,
    )
    for (flat, labels, best), (anchors, wanted, highest) in zip(found, expected):
        assert torch.allclose(torch.tensor(flat, dtype=torch.float64).view(-1, 4), anchors, rtol=0, atol=1e-9)
        assert labels == wanted.tolist()
        assert torch.allclose(torch.tensor(best, dtype=torch.float64), highest, rtol=0, atol=1e-9)
    assert {label for _, labels, _ in found for label in labels} == {-1, 0, 1}


@needs_node
def test_the_anchors_of_the_network_and_the_running_image():
    size, truths = (960, 1280), running_image()[1]["boxes"].double()
    expected = []
    for best in (False, True):
        anchors = torch.cat(pyramid_anchors(size, dtype=torch.float64))
        labels, _ = match_boxes(anchors, truths, 0.3, 0.7, best_for_each=best)
        expected.append([int((labels == label).sum()) for label in (1, -1, 0)] + [labels.nonzero()[:, 0].tolist()])
    script = (
        "((r) => [...Object.values(m.counts(r.labels)), Array.from(r.labels.keys()).filter((i) => r.labels[i])])"
        f"(m.match(m.ofPyramid({list(size)}), {truths.tolist()}, {{ best: c }}))"
    )
    assert in_node("anchors.js", script, [False, True]) == expected


@needs_node
def test_levels_bins_and_maxima():
    random = generator(7)
    cases, expected = [], []
    for k in range(150):
        size, bins = (
            torch.randint(1, 30, (2,), generator=random).tolist(),
            int(torch.randint(1, 8, (), generator=random)),
        )
        stride = 2 ** int(torch.randint(2, 6, (), generator=random))
        corners = torch.randint(-4, 36, (4,), generator=random).double() / 2  # many half-way between two cells
        box = stride * (corners if k % 3 == 0 else torch.cat([corners[:2], corners[:2] + corners[2:].abs()]))
        feature = torch.randint(0, 6, size, generator=random).double()  # with ties
        cases.append(
            {"box": box.tolist(), "stride": stride, "size": size, "bins": bins, "map": feature.flatten().tolist()}
        )
        roi = torch.cat([torch.zeros(1), box])[None].double()
        y, x = reference.bin_edges(roi, 1 / stride, size, bins)
        values, cells = reference.roi_max_pool([feature[None, None]], roi, torch.tensor([0]), [1 / stride], bins)
        expected.append([x[:, 0].T.tolist(), y[:, 0].T.tolist(), values.flatten().tolist(), cells.flatten().tolist()])
    edges = "m.binEdges(c.box, c.stride, c.size, c.bins)"
    pooled = f"m.maxima(c.map, c.size[1], {edges}).flat()"
    found = in_node(
        "pooling.js",
        f"[{edges}.x, {edges}.y, {pooled}.map((b) => b.value), {pooled}.map((b) => b.cell)]",
        cases,
    )
    assert found == expected
    assert any(-1 in cells for *_, cells in found) and any(len(set(cells)) > 3 for *_, cells in found)


@needs_node
def test_levels_to_the_bound_and_halves_away_from_zero():
    sides = torch.tensor([0.0, 50, 112, 224, 448, 900], dtype=torch.float64)
    sides = torch.cat([sides, sides.nextafter(torch.tensor(0.0)), sides.nextafter(torch.tensor(1e9))])
    boxes = torch.stack([torch.zeros(18), torch.zeros(18), sides, sides], dim=1)
    assert in_node("pooling.js", "m.levelOf(c)", boxes.tolist()) == assign_levels(boxes).tolist()
    x = torch.cat([torch.arange(-20, 21).double() / 4, torch.tensor([0.49999999999999994, -0.49999999999999994])])
    assert in_node("pooling.js", "m.roundHalfAway(c) + 0", x.tolist()) == reference.round_half_away(x).tolist()


def test_the_figures_show_the_numbers_of_the_chapters():
    maps = (SCRIPTS / "feature_maps.js").read_text(encoding="utf-8")
    assert maps == interactive_data.script("FEATURE_MAPS", interactive_data.feature_maps())
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
