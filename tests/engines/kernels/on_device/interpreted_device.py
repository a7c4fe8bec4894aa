"""A stand-in for a GPU that interprets the Triton kernel of each compiled kernel."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from launch_devices import HostStream, LoadedKernel, RecordingDevice

from wsgn.engines.kernels.bundle import Bundle, CompiledKernel
from wsgn.kernels import describe_kernels, finish_kernels, forward_kernels

TRITON_KERNELS = {
    "describe_chunks": describe_kernels.describe_chunks,
    "describe_videos": describe_kernels.describe_videos,
    "pool_chunks": forward_kernels.pool_chunks,
    "finish_videos": finish_kernels.finish_videos,
    "score_chunks": finish_kernels.score_chunks,
}
DTYPES = {"*fp32": torch.float32, "*i64": torch.int64}


@dataclass
class InterpretedDevice(RecordingDevice):
    """Knows a kernel by the hash of its machine code, and its constants by the bundle."""

    bundle: Bundle | None = field(default=None, kw_only=True)

    def launch(
        self,
        kernel: LoadedKernel,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[np.generic],
        stream: HostStream,
        *,
        dynamic_shared_bytes: int = 0,
    ) -> None:
        super().launch(
            kernel, grid, block, arguments, stream, dynamic_shared_bytes=dynamic_shared_bytes
        )
        compiled = self._compiled(kernel)
        values = dict(compiled.constants)
        for parameter, value in zip(compiled.parameters, arguments, strict=True):
            if parameter.name in TRITON_KERNELS[kernel.name].arg_names:
                values[parameter.name] = self._argument(parameter.kind, value)
        TRITON_KERNELS[kernel.name][grid](**values)

    def _compiled(self, kernel: LoadedKernel) -> CompiledKernel:
        assert self.bundle is not None
        digest = hashlib.sha256(kernel.image).hexdigest()
        (found,) = (
            compiled
            for target in self.bundle.targets
            for compiled in target.kernels
            if digest in (compiled.cubin_sha256, compiled.ptx_sha256)
        )
        return found

    def _argument(self, kind: str, value: np.generic) -> Any:
        """A tensor over the memory that an address points to, or a number."""
        if not kind.startswith("*"):
            return value.item()
        if value == 0:
            return torch.empty(0, dtype=DTYPES[kind])
        buffer = self.buffer_at(int(value))
        behind = buffer.memory[int(value) - buffer.address :]
        return torch.from_numpy(behind).view(DTYPES[kind])
