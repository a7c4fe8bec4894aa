"""The engine for TensorRT plans, on one GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn, Self

from wsgn.engines.engine import (
    EngineDescription,
    EngineInputs,
    EngineOutputs,
    require_snippets,
)
from wsgn.engines.process import OpeningProcess
from wsgn.engines.tensorrt.session import Future, PlanSession
from wsgn.engines.tensors import graph_tensors
from wsgn.manifest import Manifest


class TensorRtEngine:
    """A TensorRT plan in a session."""

    def __init__(self, description: EngineDescription, *, ordinal: int = 0) -> None:
        """`ordinal` is the number of the GPU."""
        require_snippets(description)
        self._session = PlanSession.open(
            description.path, sidecar=description.sidecar, ordinal=ordinal
        )
        self.name = description.path.name
        self._process = OpeningProcess(self.name, self._session)
        self.sha256 = description.sha256
        self.manifest: Manifest = description.manifest
        self.device = f"cuda:{ordinal}"
        self._input_name = graph_tensors(self.manifest).inputs[0].name

    def infer(self, inputs: EngineInputs) -> EngineOutputs:
        """Logits of frames (N, L, H, W, 3) uint8, or of features (N, D) float32."""
        return self.submit(inputs).result()

    def submit(self, inputs: EngineInputs) -> PendingPlan:
        """As `infer`, but returns while the GPU computes."""
        self._process.require()
        named = inputs if isinstance(inputs, Mapping) else {self._input_name: inputs}
        future = self._session.submit(named)
        return PendingPlan(session=self._session, future=future)

    def close(self) -> None:
        """Release the plan and the GPU; in a forked child nothing, see `OpeningProcess`."""
        if self._process.is_this_one:
            self._session.close()
        self._process.release()

    def __reduce__(self) -> NoReturn:
        self._process.refuse_to_travel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, kw_only=True, eq=False)
class PendingPlan:
    """A batch on the GPU."""

    session: PlanSession
    future: Future
    ready: bool = False

    def result(self) -> EngineOutputs:
        """Wait for the outputs. Raises `EngineError`."""
        outputs = self.session.collect(self.future)
        return EngineOutputs(
            selection_logits=outputs["selection_logits"],
            class_probabilities=outputs["class_probabilities"],
        )
