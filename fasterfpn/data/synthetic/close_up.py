"""The layouts of the easy setting: close-ups of a single profile with one to three clear defects.

A close-up shows 640x480 reference pixels, a sixteenth of the full view's area, so that the texture of every kind of
defect can be made out in an image of 160x120. No defect is tiny: the smallest is 12 pixels wide and high there.
"""

from __future__ import annotations

import numpy as np

from fasterfpn.data.synthetic.classes import ALUMINIUM_CLASSES
from fasterfpn.data.synthetic.layout import MIDDLE, Defect, Layout, Profile

FRAME = (480, 640)
CLARITY = 0.8  # see `Layout`
DARK_COATS = ("brown", "dark grey", "grey", "blue grey", "olive")  # bare metal shows on them
GAP = 8  # between a defect and the borders of its column and of the profile

# Shortest and longest along the profile, then across it.
SIZES = {
    "non-conductive": ((130, 280), (70, 130)),
    "scratch": ((100, 200), (50, 90)),
    "corner leak": ((110, 190), (60, 90)),
    "orange peel": ((150, 340), (110, 190)),
    "leakage": ((130, 260), (50, 90)),
    "jet": ((110, 190), (60, 110)),
    "paint bubble": ((48, 76), (48, 76)),
    "crater": ((110, 190), (48, 60)),
    "parti-color": ((150, 340), (110, 190)),
    "dirty point": ((48, 76), (48, 76)),
}


def lay_out_close_up(seed: int, index: int) -> Layout:
    """Image number `index` of `seed`: side by side, all kinds equally likely; two images in five show one kind."""
    rng = np.random.default_rng([seed, index, 5])
    kinds = rng.choice(ALUMINIUM_CLASSES, rng.integers(1, 4)).tolist()
    if rng.random() < 0.4:
        kinds = kinds[:1] * len(kinds)
    height, tilt = rng.uniform(300, 400), rng.uniform(-0.03, 0.03)
    edges = tuple(np.sort(rng.uniform(0.1, 0.9, rng.integers(0, 3)) * height).tolist())
    sway = abs(tilt) * FRAME[1] / 2
    middle = rng.uniform(sway + 4, FRAME[0] - height - sway - 4)  # y of the upper edge, halfway along the picture
    top = middle + tilt * (MIDDLE - FRAME[1] / 2)
    profile = Profile(top, height, tilt, 0.0, edges, (), DARK_COATS[rng.integers(len(DARK_COATS))])
    cuts = (np.arange(len(kinds) + 1) + rng.uniform(-0.12, 0.12, len(kinds) + 1)) / len(kinds)
    cuts[0], cuts[-1] = 0, 1
    defects = []
    for kind, start, end in zip(kinds, cuts * FRAME[1], cuts[1:] * FRAME[1], strict=False):
        along, across = (rng.uniform(*limits) for limits in SIZES[kind])
        room = end - start - 2 * GAP
        along = min(along, room)
        x1 = start + GAP + rng.random() * (room - along)
        v1 = rng.uniform(GAP, height - GAP - across)
        defects.append(Defect(kind, x1, x1 + along, v1, v1 + across))
    return Layout(seed, index, (profile,), tuple(defects), FRAME, CLARITY)
