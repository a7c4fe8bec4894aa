"""Parity of an exported snippet graph: torch against ONNX Runtime on the same inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wsgn.engines.tensors import graph_tensors
from wsgn.errors import EngineError
from wsgn.export.graphs.document import Exportable, example_flow, parity_input
from wsgn.export.graphs.networks import activated
from wsgn.manifest import Manifest
from wsgn.support.arrays import FloatingArray
from wsgn.support.packages import load_package

# Odd on purpose: one snippet, the example's own size, primes, a power of two and more than it.
SIZES = (1, 2, 3, 7, 13, 32, 65)
# Both outputs, absolute and relative; the paper's weights turn it into under 1e-4 of a score.
TOLERANCE = 1e-4
# A probability rises at most half as fast as the logits that it is made of (softmax; a sigmoid by
# a quarter), whose rounding grows with them.
_STEEPEST = 0.5
# The same where the convolutions compute in float16, whose numbers have 11 bits.
HALF_TOLERANCE = 2e-2
# Pixels in a run: 64 snippets of 16 frames of 64 x 64.
_MOST_PIXELS = 1 << 22


@dataclass(frozen=True, kw_only=True)
class ParityRow:
    """The largest difference of one output over all sizes."""

    output: str
    largest_difference: float = 0.0
    # Largest absolute value of the output, to judge the difference by.
    largest_value: float = 0.0


def parity_sizes(manifest: Manifest) -> tuple[int, ...]:
    """The sizes that a large network can be run on in a minute or so."""
    if manifest.frames is None:
        return SIZES
    frame = manifest.frames.height * manifest.frames.width
    pixels = frame * manifest.sampling.snippet_length
    return tuple(size for size in SIZES if size <= 3 or size * pixels <= _MOST_PIXELS)


def check_parity(
    subject: Exportable,
    path: Path,
    sizes: Sequence[int],
    tolerance: float = TOLERANCE,
) -> tuple[ParityRow, ...]:
    """Run both on random inputs of every size; an `EngineError` when they are too far apart."""
    onnxruntime = load_package("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    tensors = graph_tensors(subject.manifest)
    names = tensors.output_names
    comparison = Comparison()
    for size in sizes:
        inputs = (parity_input(subject, size), *example_flow(subject.manifest, size))
        with torch.inference_mode():
            selection_logits, class_logits = subject.graph.heads(*inputs)
            probabilities = activated(class_logits, subject.graph.class_activation)
        expected = [selection_logits.numpy(), probabilities.numpy()]
        steepest = tolerance * max(1.0, _STEEPEST * float(class_logits.abs().max()))
        given = {one.name: value.numpy() for one, value in zip(tensors.inputs, inputs, strict=True)}
        found = session.run(names, given)
        for output, want, have, allowed in zip(
            names, expected, found, (tolerance, steepest), strict=True
        ):
            comparison.add(output, want, have, allowed)
    return comparison.rows()


class Comparison:
    """The largest difference of each output from what is expected, and whether it is allowed."""

    def __init__(self) -> None:
        self._rows: dict[str, ParityRow] = {}
        self._tolerances: dict[str, float] = {}

    def add(self, output: str, want: FloatingArray, have: FloatingArray, tolerance: float) -> None:
        """Hold one result against the expected one; an `EngineError` where its shape differs."""
        if want.shape != have.shape:
            raise EngineError(
                f"the exported graph gives {output} of shape {have.shape} where {want.shape} is "
                "expected."
            )
        old = self._rows.get(output, ParityRow(output=output))
        # Unlike Python's, this maximum keeps NaN.
        largest = np.maximum(old.largest_difference, np.abs(want - have).max())
        self._rows[output] = ParityRow(
            output=output,
            largest_difference=float(largest),
            largest_value=max(old.largest_value, float(np.abs(want).max())),
        )
        self._tolerances[output] = max(tolerance, self._tolerances.get(output, 0.0))

    def rows(self) -> tuple[ParityRow, ...]:
        """One for each output; an `EngineError` when one of them is too far off."""
        for name, row in self._rows.items():
            tolerance = self._tolerances[name]
            if not row.largest_difference <= tolerance * max(1.0, row.largest_value):
                raise EngineError(
                    f"the exported graph is off: {name} differs from what it should be by "
                    f"{row.largest_difference:.2e}, at most {tolerance:.0e} is allowed."
                )
        return tuple(self._rows.values())
