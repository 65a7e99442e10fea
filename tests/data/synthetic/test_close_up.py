"""The easy setting: what its layouts promise, and that colour alone does not tell the kinds apart."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fasterfpn.data.synthetic.classes import ALUMINIUM_CLASSES
from fasterfpn.data.synthetic.close_up import FRAME, lay_out_close_up
from fasterfpn.data.synthetic.dataset import SyntheticProfiles
from fasterfpn.data.synthetic.defects import paint
from fasterfpn.data.synthetic.layout import extent
from fasterfpn.data.synthetic.request import Request

seeds, indices = st.integers(0, 2**40), st.integers(0, 10**6)
sides = st.integers(64, 300)


@given(seeds, indices, sides, sides)
def test_defects_lie_side_by_side_on_the_profile(seed, index, height, width):
    layout = lay_out_close_up(seed, index)
    (profile,) = layout.profiles
    places = np.array([extent(profile, defect) for defect in layout.defects])
    assert 1 <= len(places) <= 3 and (places >= 0).all() and (places <= (*FRAME[::-1], *FRAME[::-1])).all()
    assert (places[1:, 0] >= places[:-1, 2]).all()
    assert all(0 < defect.v1 < defect.v2 < profile.height for defect in layout.defects)
    assert min(min(d.x2 - d.x1, d.v2 - d.v1) for d in layout.defects) >= 48, "12 pixels of 160x120"
    boxes = layout.boxes((height, width))
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= (width, height)).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= 2).all()


@pytest.mark.parametrize("kind", ALUMINIUM_CLASSES)
def test_a_defect_is_clear_and_fills_its_box(kind):
    shown = 0
    for index in range(200):
        layout = lay_out_close_up(7, index)
        if layout.defects[0].kind != kind:
            continue
        alone = replace(layout, defects=layout.defects[:1])
        change = np.abs(paint(alone, (240, 320)).image - paint(replace(layout, defects=()), (240, 320)).image).max(0)
        assert np.quantile(change[change > 0.01], 0.95) > 0.06, index
        seen = change > 0.08 * change.max()
        columns, rows = np.flatnonzero(seen.any(0)), np.flatnonzero(seen.any(1))
        box = layout.boxes((240, 320))[0]
        drawn = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert (np.abs(drawn - box) <= 3 + 0.12 * np.tile(box[2:] - box[:2], 2)).all(), (index, box, drawn)
        shown += 1
        if shown == 4:
            return
    pytest.fail(f"{shown} images show a {kind} first")


def test_kinds_are_equally_frequent_and_mixed():
    every = [lay_out_close_up(3, index).labels() for index in range(2000)]
    share = np.bincount(np.concatenate(every), minlength=11)[1:] / sum(map(len, every))
    assert share.min() > 0.07 and share.max() < 0.13, share
    several = [labels for labels in every if len(labels) > 1]
    assert 0.3 < np.mean([len(set(labels)) == 1 for labels in several]) < 0.6


def mean_colours(seed: int, images: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean RGB (D, 3) of the box of every defect, and labels (D,)."""
    colours, labels = [], []
    for image, target in SyntheticProfiles(images, Request(seed, size=(96, 128)), progress=False):
        for (x1, y1, x2, y2), label in zip(target["boxes"].int().tolist(), target["labels"].tolist(), strict=True):
            colours.append(image[:, y1:y2, x1:x2].mean((1, 2)))
            labels.append(label)
    return torch.stack(colours), torch.tensor(labels)


@pytest.mark.slow
def test_mean_colour_does_not_tell_the_kind():
    known, known_labels = mean_colours(1, 500)
    new, new_labels = mean_colours(2, 200)
    means = torch.stack([known[known_labels == label].mean(0) for label in range(1, 11)])
    nearest_mean = torch.cdist(new, means).argmin(1) + 1
    neighbours = known_labels[torch.cdist(new, known).topk(15, largest=False).indices].mode(1).values
    accuracy = [(guess == new_labels).float().mean().item() for guess in (nearest_mean, neighbours)]
    assert max(accuracy) < 0.45, accuracy
