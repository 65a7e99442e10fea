"""Exercise fpn: the feature pyramid, C2..C5 to P2..P6 (docs/04_features.md)."""

import torch


def feature_pyramid(features, laterals, outputs):
    """P2, P3, P4, P5 and P6, a list, of the stages C2, C3, C4 and C5 of a backbone.

    features: four tensors (N, C, H, W), each half as large as the one before, rounded up. laterals and outputs: four
    layers each, to be called with a tensor (the 1x1 and the 3x3 convolutions).

    Each stage goes through its lateral. From the coarsest down, each level adds the sum of the level above, enlarged to
    its own size by nearest neighbours (cell y of h takes row floor(y h_above / h), columns likewise). Each sum goes
    through its output layer, which gives P2..P5. P6 is every second cell of P5, rows and columns from the first.
    Leave the list `features` as it is.

    Hints: torch.nn.functional.interpolate(x, size=..., mode="nearest"). Twice the size is one too many where it is odd.
    """
    raise NotImplementedError
