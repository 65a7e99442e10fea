"""The interactive figures compute what the package computes: Node runs their scripts on random inputs, to 1e-9."""

import json
import os
import shutil
import subprocess

import pytest
import torch
from extensions import chapters, interactive
from links import DOCS, pages

from fasterfpn.geometry import box_area, box_iou

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
