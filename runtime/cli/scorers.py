"""What scores the whole sources of a run: NumPy, or compiled kernels on the engine's GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wsgn.engines.devices import cuda_ordinal
from wsgn.engines.engine import Engine
from wsgn.errors import UsageError
from wsgn.manifest import SelectionRule
from wsgn.support.arrays import Float32Array

from ..streaming.whole_video import OutputScores, Scorer

if TYPE_CHECKING:
    from wsgn.engines.kernels.launcher import SelectionKernels


class KernelScorer:
    """Scores of whole sources by compiled kernels; see `wsgn.engines.kernels.launcher`."""

    def __init__(self, kernels: SelectionKernels, rule: SelectionRule) -> None:
        self._kernels, self._rule = kernels, rule

    def __call__(self, logits: Float32Array, probabilities: Float32Array) -> OutputScores:
        """Scores of a whole source. Raises `EngineError`."""
        from wsgn.engines.kernels.launcher import class_logits_of

        found = self._kernels.score(
            logits,
            class_logits_of(probabilities, self._rule.class_activation),
            np.array([0, len(logits)]),
        )
        return OutputScores(
            frames=found.scores.astype(np.float64), videos=found.video_scores[0].astype(np.float64)
        )


@contextmanager
def open_scorer(bundle: Path | None, engine: Engine) -> Iterator[Scorer | None]:
    """The scorer of an open engine's outputs; None leaves it to NumPy.

    Raises `UsageError` for an engine on the CPU, `EngineError` for kernels that do not fit.
    """
    if bundle is None:
        yield None
        return
    ordinal = cuda_ordinal(engine.device) if engine.device.startswith("cuda") else None
    if ordinal is None:
        raise UsageError(
            f"--kernels needs a GPU, and the engine runs on {engine.device}: add --device cuda."
        )
    # What launches kernels is loaded for runs that want it.
    from wsgn.engines.cuda.open import open_device
    from wsgn.engines.kernels.launcher import SelectionKernels

    manifest = engine.manifest
    with SelectionKernels.open(
        bundle, open_device(ordinal), manifest.selection, len(manifest.classes)
    ) as kernels:
        yield KernelScorer(kernels, manifest.selection)
