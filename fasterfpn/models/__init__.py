"""The network's parts, each an `nn.Module` in a file of its own, and their configuration."""

from fasterfpn.models.config import DetectorConfig
from fasterfpn.models.detector import Detector
from fasterfpn.models.resnet import ResNet

__all__ = ["Detector", "DetectorConfig", "ResNet"]
