"""Laws of the anchors: their number, order, centres, areas and shapes."""

import math

from hypothesis import strategies as st

from fasterfpn import geometry
from fasterfpn.laws.law import expect, expect_that, law, values

side, stride = st.integers(1, 40), st.sampled_from([4, 8, 16])
ratio = st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0])
ratios = st.lists(ratio, min_size=1, max_size=3, unique=True)
edge = st.sampled_from([8, 16, 32])  # of the square anchor


def level(pyramid_anchors, height, width, area, ratios, stride):
    """The anchors of a pyramid of one level, as float64 (N, 4)."""
    levels = pyramid_anchors((height, width), [area], ratios, [stride])
    expect_that(isinstance(levels, list | tuple) and len(levels) == 1, "a list with one tensor a level comes back")
    anchors = values(levels[0])
    expect_that(anchors.ndim == 2 and anchors.shape[1] == 4, f"a level has shape (N, 4), not {tuple(anchors.shape)}")
    expect_that(len(anchors) > 0, "no level is without anchors")
    return anchors


@law(
    height=side,
    width=side,
    stride=stride,
    ratios=ratios,
)
def counted_by_the_ceiling(pyramid_anchors, height, width, stride, ratios):
    """A level has ceil(H / s) x ceil(W / s) cells, and every ratio in each."""
    found = len(level(pyramid_anchors, height, width, 256.0, ratios, stride))
    wanted = math.ceil(height / stride) * math.ceil(width / stride) * len(ratios)
    expect_that(found == wanted, f"{wanted} anchors, not {found}")


@law(ratio=ratio, edge=edge)
def of_the_area(pyramid_anchors, ratio, edge):
    """Width times height is the area, for every ratio."""
    x1, y1, x2, y2 = level(pyramid_anchors, 4, 4, float(edge * edge), [ratio], 4)[0].tolist()
    expect((x2 - x1) * (y2 - y1), float(edge * edge), "the first anchor's area")


@law(ratio=ratio, edge=edge)
def height_over_width(pyramid_anchors, ratio, edge):
    """The ratio is height over width: 2 stands upright, 0.5 lies flat."""
    x1, y1, x2, y2 = level(pyramid_anchors, 4, 4, float(edge * edge), [ratio], 4)[0].tolist()
    expect((y2 - y1) / (x2 - x1), ratio, "the first anchor's height over its width")


@law(
    height=side,
    width=side,
    stride=stride,
)
def centred_at_multiples_of_the_stride(pyramid_anchors, height, width, stride):
    """Cell (y, x) is centred at pixel (x s, y s): the first at the image's corner, not half a stride further."""
    anchors = level(pyramid_anchors, height, width, 256.0, [1.0], stride)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    expect(centres.amin(0), [0.0, 0.0], "the least x and y of all centres")
    last = [float((math.ceil(length / stride) - 1) * stride) for length in (width, height)]
    expect(centres.amax(0), last, "the greatest x and y of all centres")


@law(
    height=side,
    width=side,
    stride=stride,
    ratios=ratios,
    edge=edge,
)
def in_the_order_y_x_ratio(pyramid_anchors, height, width, stride, ratios, edge):
    """The order is y, x, ratio: all ratios of a cell, then the cell to its right, at the end of a row the next row."""
    anchors = level(pyramid_anchors, height, width, float(edge * edge), ratios, stride)
    expect(anchors, by_definition(height, width, edge * edge, ratios, stride))


def by_definition(height, width, area, ratios, stride):
    """Row by row."""
    rows = []
    for y in range(0, height, stride):
        for x in range(0, width, stride):
            for ratio in ratios:
                w, h = math.sqrt(area / ratio), math.sqrt(area * ratio)
                rows.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return rows


@law(
    height=side,
    width=side,
    levels=st.lists(st.tuples(edge, stride), min_size=1, max_size=3),
)
def an_area_and_a_stride_for_each_level(pyramid_anchors, height, width, levels):
    """Level l has the l-th area and the l-th stride."""
    areas, strides = [float(edge * edge) for edge, _ in levels], [stride for _, stride in levels]
    found = list(pyramid_anchors((height, width), areas, [1.0], strides))
    expect_that(len(found) == len(levels), f"{len(levels)} tensors, one a level, not {len(found)}")
    for number, (anchors, area, stride) in enumerate(zip(found, areas, strides)):
        expect(anchors, by_definition(height, width, area, [1.0], stride), f"level {number}")


reference = geometry.pyramid_anchors


def typical():
    """The anchors of an image of 320 x 240."""
    return (240, 320), [32.0**2, 64.0**2, 128.0**2], [0.5, 1.0, 2.0], [4, 8, 16]
