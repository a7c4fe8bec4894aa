"""What `--device` may name: a processor and, where it has several parts, which of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wsgn.errors import UsageError

CPU, CUDA, OPENVINO = "cpu", "cuda", "openvino"
# Those that ONNX Runtime's own provider of that name drives, beside the CPU and CUDA.
PROVIDED = ("coreml", "dml")
# By the first word, what may stand behind its colon, and what is meant without.
_PARTS = {
    CPU: (r"", ""),
    CUDA: (r"\d+", "0"),
    # OpenVINO's own names in small letters; AUTO, HETERO and others choose, and may fall back.
    OPENVINO: (r"cpu|npu|gpu(?:\.\d{1,4})?", "cpu"),
    "coreml": (r"", ""),
    "dml": (r"\d{1,4}", "0"),
}
WORDS = "cpu, cuda or cuda:N, openvino or openvino:gpu, coreml, dml or dml:N"


@dataclass(frozen=True, kw_only=True)
class DeviceName:
    """Where an engine is to run."""

    # The first word.
    kind: str
    # A number or OpenVINO's name; empty of what has no parts.
    part: str

    @property
    def ordinal(self) -> int | None:
        """The number of a GPU that CUDA drives; None of everything else."""
        return int(self.part) if self.kind == CUDA else None

    def __str__(self) -> str:
        return f"{self.kind}:{self.part}" if self.part else self.kind


def device_name(text: str) -> DeviceName:
    """The device that a word names; nothing is looked for. Raises `UsageError`."""
    kind, colon, part = text.partition(":")
    pattern, usual = _PARTS.get(kind, ("", ""))
    fits = kind in _PARTS and (not colon or (pattern and re.fullmatch(pattern, part, re.ASCII)))
    if not fits:
        raise UsageError(f"the device must be {WORDS}, got '{text}'.")
    return DeviceName(kind=kind, part=part if colon else usual)


def cuda_ordinal(device: str) -> int | None:
    """The number of a GPU that CUDA drives, 0 of plain `cuda`; else None. Raises `UsageError`."""
    return device_name(device).ordinal
