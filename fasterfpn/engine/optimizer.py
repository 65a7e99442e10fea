"""The optimisers."""

from __future__ import annotations

import torch

from fasterfpn.engine.config import TrainingConfig
from fasterfpn.models import Detector


def build_optimizer(detector: Detector, config: TrainingConfig) -> torch.optim.Optimizer:
    """SGD with momentum (sec. 4.1), or AdamW without decay on biases and norms (Loshchilov and Hutter 2019)."""
    trained = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    if config.optimizer == "sgd":
        return torch.optim.SGD(trained, config.learning_rate, config.momentum, weight_decay=config.weight_decay)
    groups = [
        {"params": [parameter for parameter in trained if parameter.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in trained if parameter.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, config.learning_rate, (config.momentum, 0.999))
