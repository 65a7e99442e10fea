"""The image of all chapters: one synthetic profile, 1280x960, with a long thin scratch, a dirty point and a crater.

from figures.running import CLASSES, running_image
image, target = running_image()  # (3, 960, 1280) in 0..1; boxes (3, 4), labels (3,)
"""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fasterfpn.data.synthetic.classes import ALUMINIUM_CLASSES
from fasterfpn.data.synthetic.defects import photograph
from fasterfpn.data.synthetic.layout import Defect, Layout, Profile

CLASSES = ALUMINIUM_CLASSES  # label k is CLASSES[k - 1]
SIZE = (960, 1280)  # (H, W): half the size of the paper's photographs, which the layout below is given for
PROFILE = Profile(top=420, height=1080, tilt=0.006, fan=0.0, edges=(230.0, 640.0, 900.0), grooves=(), coat="blue grey")
DEFECTS = (
    Defect("scratch", x1=460, x2=1740, v1=440, v2=476),
    Defect("dirty point", x1=1900, x2=1980, v1=150, v2=228),
    Defect("crater", x1=900, x2=1150, v1=690, v2=850),
)


def running_layout() -> Layout:
    """Return the profile and its three defects."""
    return Layout(seed=0, index=0, profiles=(PROFILE,), defects=DEFECTS, clarity=1.0)


def running_image() -> tuple[Tensor, dict[str, Tensor]]:
    """Return the image float32 (3, 960, 1280) in 0..1 and its target: boxes (3, 4) in pixels, labels (3,)."""
    layout = running_layout()
    pixels = np.array(Image.open(io.BytesIO(photograph(layout, SIZE))).convert("RGB"))
    image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    return image, {"boxes": torch.from_numpy(layout.boxes(SIZE)), "labels": torch.from_numpy(layout.labels())}
