"""Names for the types that many modules share (see the contracts in the package's documentation).

Boxes are float (N, 4), `x1 y1 x2 y2` in pixels of the image that was passed in; labels int64 (N,), from 1; N may be 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

Size = tuple[int, int]
"""(H, W) in pixels."""
Target = Mapping[str, Tensor]
"""The ground truth of an image: "boxes" and "labels", perhaps "difficult" (N,) bool."""
Detections = dict[str, Tensor]
"""The detections on an image: "boxes", "labels" and "scores" (N,) in 0..1, best first."""
