"""The pyramid, from the top down."""

from torch.nn.functional import interpolate


def feature_pyramid(features, laterals, outputs):
    merged = [laterals[3](features[3])]
    for level in (2, 1, 0):
        own = laterals[level](features[level])
        merged.insert(0, own + interpolate(merged[0], size=own.shape[-2:], mode="nearest"))
    pyramid = [output(level) for output, level in zip(outputs, merged)]
    return [*pyramid, pyramid[-1][:, :, ::2, ::2]]
