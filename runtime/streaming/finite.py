"""Watches an engine for outputs that are not numbers."""

from __future__ import annotations

import numpy as np

from wsgn.engines.engine import EngineOutputs
from wsgn.errors import EngineError
from wsgn.support.arrays import BoolArray

# A larger share of snippets with NaN or infinite outputs means that the engine is broken.
LARGEST_SHARE = 0.01
# The share is judged while the source plays only from this many snippets on.
JUDGED_FROM = 200


def finite_rows(outputs: EngineOutputs) -> BoolArray:
    """Which of N snippets (N,) have neither NaN nor infinity in their outputs."""
    finite = np.isfinite(outputs.selection_logits) & np.isfinite(outputs.class_probabilities)
    return np.asarray(np.logical_and.reduce(finite, axis=1))


class FiniteGuard:
    """Counts the snippets of one source whose outputs hold NaN or infinity."""

    def __init__(self, engine_name: str) -> None:
        self._engine_name = engine_name
        self.num_snippets = 0
        self.num_refused = 0

    def usable(self, outputs: EngineOutputs) -> BoolArray:
        """Which of N snippets (N,) may go on. Raises `EngineError` when too many may not."""
        usable = finite_rows(outputs)
        self.num_snippets += len(usable)
        self.num_refused += int((~usable).sum())
        if self.num_snippets >= JUDGED_FROM:
            self.judge()
        return usable

    def judge(self) -> None:
        """Raise `EngineError` when too large a share of the snippets so far was refused."""
        if self.num_refused > LARGEST_SHARE * self.num_snippets:
            raise EngineError(
                f"the engine '{self._engine_name}' gave NaN or infinity for {self.num_refused} of "
                f"{self.num_snippets} snippets: it is broken or overflows on this device; export "
                "it again and look at the parity report."
            )
