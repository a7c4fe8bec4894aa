"""The device of a name, on which PyTorch trains or predicts."""

from __future__ import annotations

import torch

from wsgn.errors import UsageError


def open_device(name: str, local_rank: int | None = None) -> torch.device:
    """The device of a name, made the current one; a `UsageError` says why it cannot be had."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"'{name}' is not a device; cpu, cuda and cuda:N are.") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"PyTorch runs on cpu or cuda here, not on '{name}'.")
    if device.type == "cpu":
        return device
    if not torch.cuda.is_available():
        raise UsageError(
            f"--device {name}: PyTorch {torch.__version__} sees no NVIDIA GPU here; use a build "
            "with CUDA on a machine with a driver, or --device cpu."
        )
    if local_rank is not None:
        device = torch.device("cuda", local_rank)
    elif device.index is None:
        device = torch.device("cuda", 0)
    if device.index is not None and device.index >= torch.cuda.device_count():
        raise UsageError(f"there are {torch.cuda.device_count()} GPUs, so {device} does not exist.")
    torch.cuda.set_device(device)
    return device
