"""Where a run computes and in which number format: decided once, at the start of training or evaluation."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from fasterfpn.errors import InputError

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Placement:
    """The device and what rounding depends on; `rank` of `world` processes.

    Convolutions and matrix products use `dtype`. bfloat16 keeps float32's range with 8 bits of precision; weights,
    losses, boxes and the optimiser stay in float32.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32
    rank: int = 0
    world: int = 1

    @classmethod
    def on(cls, device: str | torch.device, precision: Precision = "float32") -> Placement:
        """On the device of that name; precision "auto" is bfloat16 where the hardware multiplies it natively.

        Raises `InputError` where torch does not know the device or the machine lacks it.
        """
        try:
            place = torch.device(device)
            if place.type == "meta":
                raise RuntimeError("a device without memory")
            torch.zeros(1, device=place)
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"device {device}: {str(error).splitlines()[0]}") from error
        narrow = precision == "bfloat16" or (precision == "auto" and _multiplies_bfloat16(place))
        return cls(place, torch.bfloat16 if narrow else torch.float32)

    def autocast(self) -> AbstractContextManager:
        """The context in which a forward pass is in `dtype`."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def record(self) -> dict[str, Any]:
        """What the bits of a run depend on beside its configuration, as text and numbers for JSON."""
        record = asdict(self) | {"device": str(self.device), "dtype": str(self.dtype).removeprefix("torch.")}
        return record | {"threads": torch.get_num_threads(), "torch": torch.__version__}

    def warning(self, before: dict[str, Any] | None) -> str:
        """What to say where a run is resumed that was stopped where `record()` was `before`; "" for no change."""
        if before is None:  # a file of version 1
            return (
                "it is not recorded where this run was stopped: only the same device and threads give the same weights"
            )
        now = self.record()
        changes = [
            f"{name} {before.get(name)} before, {now[name]} now" for name in now if now[name] != before.get(name)
        ]
        if not changes:
            return ""
        return f"{', '.join(changes)}: numbers round differently, so these are not the weights of a run without a stop"


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # the query is newer than torch 2.10
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
