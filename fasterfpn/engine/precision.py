"""Which number format the convolutions and matrix products of training use."""

from __future__ import annotations

import torch


def training_dtype(precision: str, device: torch.device) -> torch.dtype:
    """`float32` or `bfloat16` by name; `auto` is bfloat16 where the hardware multiplies it natively, float32 elsewhere.

    bfloat16 keeps float32's range with 8 bits of precision; weights, losses, boxes and optimiser stay in float32.
    """
    if precision == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # the query is newer than torch 2.10
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
