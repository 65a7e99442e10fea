"""Training, checkpoints and average precision."""

from fasterfpn.engine.average_precision import average_precision

__all__ = ["average_precision"]
