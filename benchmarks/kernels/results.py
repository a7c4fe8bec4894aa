"""What a run found, as it is stored."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any

from benchmarks.kernels.correctness import Verdict
from benchmarks.kernels.machine import Machine
from benchmarks.kernels.timing import Timing
from wsgn.kernels.ahead_of_time.compiled import KernelReport

FORWARD, BOTH = "forward", "forward + backward"


@dataclass(frozen=True, kw_only=True)
class OperatorRow:
    """The operator alone, in one implementation; times are None where they are not known."""

    shape: str
    dtype: str
    # FORWARD (everything kept that a backward needs) or BOTH.
    measured: str
    implementation: str
    verdict: Verdict
    time: Timing | None = None
    # The same as a CUDA graph.
    graph_time: Timing | None = None
    # Of the host, per call; for the smallest shape.
    host_time: Timing | None = None
    # Most memory beyond the inputs.
    peak_bytes: int | None = None
    # Kernels, copies and fills.
    launches: int | None = None


@dataclass(frozen=True, kw_only=True)
class Floor:
    """What the hardware needs at least, in microseconds."""

    shape: str
    dtype: str
    measured: str
    # Bytes that must be read and written, and a device copy that moves as many.
    bytes: int
    copy: Timing
    # Issue and special-function slots at full rate for the instructions of the compiled kernels.
    instructions_us: float | None = None
    special_functions_us: float | None = None


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """A whole training step."""

    shape: str
    dtype: str
    # Channels of the features and of the hidden layers.
    width: int
    plan: str
    verdict: Verdict
    time: Timing | None = None
    peak_bytes: int | None = None
    launches: int | None = None


@dataclass(frozen=True, kw_only=True)
class Gap:
    """What was not measured, and why."""

    what: str
    reason: str
    # Whether something of ours did not work, rather than did not fit or is not there.
    failed: bool = False


@dataclass(kw_only=True)
class Results:
    """Everything; lists grow while the run goes on, so that an end by force loses little."""

    machine: Machine
    device: str
    softmax_scale: str
    # Of a large device copy, bytes read plus bytes written; None on a CPU.
    copy_gigabytes_per_second: float | None = None
    operator: list[OperatorRow] = field(default_factory=list)
    floors: list[Floor] = field(default_factory=list)
    steps: list[StepRow] = field(default_factory=list)
    # Checks in Triton's interpreter, on a machine without a GPU.
    interpreted: list[OperatorRow] = field(default_factory=list)
    compiled: list[KernelReport] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def wrong(self) -> list[str]:
        """What differed from float64."""
        operator = [
            f"{row.implementation}, {row.shape}, {row.dtype}, {row.measured}"
            for row in (*self.operator, *self.interpreted)
            if not row.verdict.is_right
        ]
        steps = [
            f"training step, {row.plan}, {row.shape}, width {row.width}, {row.dtype}"
            for row in self.steps
            if not row.verdict.is_right
        ]
        return operator + steps

    def floor(self, row: OperatorRow) -> Floor | None:
        """The floor that a row is held against."""
        key = (row.shape, row.dtype, row.measured)
        return next((f for f in self.floors if (f.shape, f.dtype, f.measured) == key), None)

    @property
    def exit_code(self) -> int:
        """1 where something is wrong or failed."""
        return int(bool(self.wrong) or any(gap.failed for gap in self.gaps))

    def json(self) -> str:
        """One document; what is not a finite number is null."""
        document: dict[str, Any] = dataclasses.asdict(self)
        return json.dumps(_finite(document | {"wrong": self.wrong}), indent=1) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
