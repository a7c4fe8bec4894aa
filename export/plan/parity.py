"""Parity of a plan: the GPU against ONNX Runtime on the CPU, on the same inputs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from onnx import TensorProto

from wsgn.engines.cuda.driver import Gpu
from wsgn.engines.tensorrt.library import Library
from wsgn.engines.tensorrt.sidecar import PlanSidecar, Profile
from wsgn.errors import EngineError
from wsgn.export.plan.input import GraphInput, PlanInput
from wsgn.support.arrays import AnyArray, Float32Array
from wsgn.support.packages import load_package

# By the names of inputs or outputs.
_Arrays = dict[str, AnyArray]

# Of the largest value of an output, and of 1: the paper's weights turn it into under 1e-4 of a
# score.
TOLERANCE = 1e-4
# The same where convolutions compute in float16 or products in TensorFloat-32, whose numbers have
# 11 bits.
ROUGH_TOLERANCE = 2e-2
# Odd on purpose: a prime between the powers of two that kernels are made for.
_ODD = 7
# Of all inputs of a call: 64 snippets of 16 frames of 64 x 64 take a CPU about a minute.
_MOST_ELEMENTS = 1 << 24
# ONNX Runtime's own lines below this would be in between ours.
_FATAL_ONLY = 4
# Calls of a stream whose state goes from each to the next.
_NUM_CALLS = 3


class Session(Protocol):
    """A plan that runs, as wsgn.engines.tensorrt.session.PlanSession."""

    def run(self, inputs: Mapping[str, AnyArray]) -> Mapping[str, AnyArray]:
        """Outputs of one batch, by name."""
        ...


@dataclass(frozen=True, kw_only=True)
class PlanDifference:
    """The largest difference of one output over all shapes."""

    output: str
    largest_difference: float
    # Largest absolute value of the output, to judge the difference by.
    largest_value: float


@dataclass(frozen=True, kw_only=True)
class PlanParity:
    """A comparison that went well."""

    # Its name.
    gpu: str
    # By axis.
    sizes: tuple[dict[str, int], ...]
    tolerance: float
    rows: tuple[PlanDifference, ...]


@dataclass(kw_only=True)
class _Largest:
    difference: float = 0.0
    value: float = 0.0

    def update(self, want: AnyArray, have: AnyArray) -> None:
        # Unlike Python's, these maxima keep NaN.
        self.difference = float(np.maximum(self.difference, np.abs(want - have).max()))
        self.value = float(np.maximum(self.value, np.abs(want).max()))


def check_plan_parity(
    source: PlanInput, profiles: Sequence[Profile], session: Session, tolerance: float
) -> tuple[PlanDifference, ...]:
    """Run both on random inputs of several sizes of every profile.

    Raises `EngineError` when an output is off by more than `tolerance`, absolute and relative to
    its largest value.
    """
    reference = _Reference(source)
    largest = {name: _Largest() for name in source.outputs}
    for sizes in parity_sizes(source, profiles):
        for inputs, expected in reference.calls(sizes):
            found = session.run(inputs)
            for name, want in expected.items():
                largest[name].update(want, _output(found, name, want))
    for name, worst in largest.items():
        if not worst.difference <= tolerance * max(1.0, worst.value):
            raise EngineError(
                f"the plan is off: {name} differs from ONNX Runtime by {worst.difference:.2e} "
                f"(values up to {worst.value:.3g}), at most {tolerance:.0e} is allowed; build it "
                "without --tf32 or with another version of the library, or run the .onnx file."
            )
    return tuple(
        PlanDifference(output=name, largest_difference=worst.difference, largest_value=worst.value)
        for name, worst in largest.items()
    )


def compare_on_gpu(
    source: PlanInput, plan: Path, sidecar: PlanSidecar, library: Library, gpu: Gpu
) -> PlanParity:
    """Run a plan that has been written, with its sidecar. Raises `EngineError`."""
    from wsgn.engines.tensorrt.session import PlanSession

    rough = {"half", "tf32"} & set(sidecar.flags)
    tolerance = ROUGH_TOLERANCE if rough else TOLERANCE
    with PlanSession.open(plan, ordinal=gpu.ordinal, library=library) as session:
        rows = check_plan_parity(source, sidecar.profiles, session, tolerance)
    return PlanParity(
        gpu=gpu.name,
        sizes=parity_sizes(source, sidecar.profiles),
        tolerance=tolerance,
        rows=rows,
    )


def parity_sizes(source: PlanInput, profiles: Sequence[Profile]) -> tuple[dict[str, int], ...]:
    """Sizes by axis that are compared: the ends of every profile, its optimum, and an odd one.

    What would take a CPU too long is left out, but for the smallest of each profile.
    """
    found: dict[tuple[int, ...], None] = {}
    for profile in profiles:
        spans = [_span(source, profile, axis) for axis in source.axes]
        smallest = tuple(minimum for minimum, _, _ in spans)
        for sizes in itertools.product(*(_choices(*span) for span in spans)):
            by_axis = dict(zip(source.axes, sizes, strict=True))
            elements = sum(math.prod(one.shape(by_axis)) for one in source.inputs)
            if sizes == smallest or elements <= _MOST_ELEMENTS:
                found[sizes] = None
    return tuple(dict(zip(source.axes, sizes, strict=True)) for sizes in found)


def _span(source: PlanInput, profile: Profile, axis: str) -> tuple[int, int, int]:
    index, one = next(
        (one.dimensions.index(axis), one) for one in source.inputs if axis in one.dimensions
    )
    shapes = profile.inputs[one.name]
    return shapes.minimum[index], shapes.optimum[index], shapes.maximum[index]


def _choices(minimum: int, optimum: int, maximum: int) -> tuple[int, ...]:
    odd = min(max(minimum, _ODD), maximum)
    return tuple(sorted({minimum, odd, optimum, maximum}))


def _output(found: Mapping[str, AnyArray], name: str, want: AnyArray) -> AnyArray:
    if name not in found:
        raise EngineError(f"the plan does not give the output {name}: export the graph again.")
    have = found[name]
    if have.shape != want.shape:
        raise EngineError(
            f"the plan gives {name} of shape {have.shape}, ONNX Runtime {want.shape}: build it "
            "with another version of the library, or run the .onnx file."
        )
    return have


class _Reference:
    """The graph on the CPU."""

    def __init__(self, source: PlanInput) -> None:
        onnxruntime = load_package("onnxruntime")
        onnxruntime.set_default_logger_severity(_FATAL_ONLY)
        self._source = source
        try:
            self._session = onnxruntime.InferenceSession(
                source.content, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise EngineError(
                f"ONNX Runtime cannot load '{source.path}', which the plan is held against "
                f"({' '.join(str(error).split())}): export it again with export/to_onnx.py."
            ) from error

    def calls(
        self, sizes: Mapping[str, int]
    ) -> Iterator[tuple[dict[str, AnyArray], dict[str, AnyArray]]]:
        """Inputs, and what the graph makes of them; a stream's state goes from call to call."""
        outputs: _Arrays = {}
        returned = [one.name for one in self._source.inputs if self._next(one) is not None]
        for call in range(_NUM_CALLS if returned else 1):
            inputs = {
                one.name: self._input(one, one.shape(sizes), outputs, seed=call)
                for one in self._source.inputs
            }
            names = self._source.outputs
            found = self._session.run(list(names), inputs)
            outputs = dict(zip(names, found, strict=True))
            yield inputs, outputs

    def _next(self, one: GraphInput) -> str | None:
        """The output that a host gives to this input in its next call: next_state of state."""
        name = f"next_{one.name}"
        return name if name in self._source.outputs else None

    def _input(
        self, one: GraphInput, shape: tuple[int, ...], outputs: Mapping[str, AnyArray], *, seed: int
    ) -> AnyArray:
        name = self._next(one)
        if name is not None:
            # The state of a stream that has not begun is zero.
            return outputs[name] if outputs else np.zeros(shape, dtype=np.float32)
        random = np.random.default_rng([seed, *shape])
        if one.element_type == TensorProto.FLOAT:
            return self._features(random.standard_normal(shape, dtype=np.float32))
        if one.element_type == TensorProto.UINT8:
            return random.integers(0, 256, shape, dtype=np.uint8)
        raise EngineError(
            f"the input '{one.name}' has the type "
            f"{TensorProto.DataType.Name(one.element_type)}, frames are UINT8 and features FLOAT: "
            "export the graph again with export/to_onnx.py."
        )

    def _features(self, noise: Float32Array) -> Float32Array:
        """Of the scale that the model knows; others would show nothing but float32's rounding."""
        scale = self._source.feature_scale
        return noise if scale is None else noise * scale.deviation + scale.mean
