"""A loaded TensorRT plan on one GPU, with two batches on their way at a time.

While the GPU computes one batch the next one is copied: each has a stream slot with its own stream,
execution context and memory. A plan is checked in an order in which nothing can crash.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from wsgn.engines.cuda.device import Device
from wsgn.engines.cuda.driver import probe_driver
from wsgn.engines.cuda.open import open_device
from wsgn.engines.tensorrt.bindings import CudaEngine, PlanRuntime
from wsgn.engines.tensorrt.checks import (
    check_engine,
    check_library,
    check_machine,
    read_plan,
)
from wsgn.engines.tensorrt.library import Library, load_library
from wsgn.engines.tensorrt.sidecar import PlanSidecar
from wsgn.engines.tensorrt.slots import Job, StreamSlot, cut_into_chunks
from wsgn.engines.tensors import GraphTensors
from wsgn.errors import EngineError, WsgnError
from wsgn.support.arrays import AnyArray

# One batch that is computed and one that is copied.
_NUM_SLOTS = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Future:
    """A batch on its way: `submit` gives it, `collect` takes it."""

    # Of its chunks, in order.
    jobs: tuple[Job, ...]


class PlanSession:
    """A plan that runs; made by `open`. One thread at a time uses it."""

    def __init__(
        self,
        plan: Path,
        sidecar: PlanSidecar,
        device: Device,
        *,
        content: bytes,
        library: Library,
    ) -> None:
        self.sidecar = sidecar
        self._name = plan.name
        self._device = device
        self._slots: list[StreamSlot] = []
        self._engine: CudaEngine | None = None
        self._runtime: PlanRuntime | None = None
        self._tensors = GraphTensors(inputs=(), outputs=())
        self._closed = False
        try:
            self._load(plan, content, library)
        except BaseException as error:
            self._release()
            _clear_frames(error)
            raise
        self._turns = itertools.cycle(self._slots)

    @staticmethod
    def open(
        plan: Path,
        *,
        sidecar: PlanSidecar | None = None,
        ordinal: int = 0,
        binding: str | None = None,
        library: Library | None = None,
    ) -> PlanSession:
        """Load a plan onto the GPU `ordinal`. Raises `EngineError` with what to do.

        `sidecar` is the plan's where it was read before. `binding` chooses the package that
        reaches the GPU, see `open_device`. `library` is the one that the sidecar names unless it is
        given.
        """
        content, sidecar = read_plan(plan, sidecar)
        check_machine(plan, sidecar, probe_driver(), ordinal)
        if library is None:
            library = load_library(sidecar.library)
        check_library(plan, sidecar, library)
        device = open_device(ordinal, binding=binding)
        try:
            with device.active():
                return PlanSession(plan, sidecar, device, content=content, library=library)
        except BaseException:
            with suppress(WsgnError):
                device.close()
            raise

    def run(self, inputs: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Outputs of one batch, by name. Raises `EngineError`."""
        return self.collect(self.submit(inputs))

    def submit(self, inputs: Mapping[str, AnyArray]) -> Future:
        """Queue a batch and return; the arrays may be changed at once. Raises `EngineError`.

        Snippets that no profile takes together are cut into chunks.
        """
        self._check_open()
        wanted = {tensor.name: tensor.dtype for tensor in self._tensors.inputs}
        have = {name: array.dtype for name, array in inputs.items()}
        if have != wanted:
            raise EngineError(
                f"the engine '{self._name}' takes {_listed(wanted)}, got {_listed(have)}."
            )
        chunks = cut_into_chunks(self._name, self.sidecar, inputs)
        with self._device.active():
            return Future(
                jobs=tuple(next(self._turns).start(chunk.profile, chunk.inputs) for chunk in chunks)
            )

    def collect(self, future: Future) -> dict[str, AnyArray]:
        """Wait for a batch; its outputs by name. Futures may be collected in any order."""
        parts = [self._outputs(job) for job in future.jobs]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def close(self) -> None:
        """Give everything back; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            with self._device.active():
                self._release()
        finally:
            self._device.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self, plan: Path, content: bytes, library: Library) -> None:
        with library.collected() as log:
            try:
                runtime: PlanRuntime = library.module.Runtime(library.logger)
                self._runtime = runtime
                if "version_compatible" in self.sidecar.flags:
                    runtime.engine_host_code_allowed = True
                self._engine = runtime.deserialize_cuda_engine(content)
            # What the bindings raise where the library gave nothing.
            except (RuntimeError, TypeError) as error:
                raise self._not_loaded(plan, library, str(error)) from error
            if self._engine is None:
                raise self._not_loaded(plan, library, log.errors())
            self._tensors = check_engine(plan, self.sidecar, self._engine)
            for _ in range(_NUM_SLOTS):
                context = self._engine.create_execution_context()
                if context is None:
                    raise self._not_loaded(plan, library, log.errors())
                slot = StreamSlot(
                    self._device,
                    context,
                    self._tensors,
                    name=plan.name,
                    library=library,
                )
                self._slots.append(slot)

    def _release(self) -> None:
        """Contexts before their engine, and that before its runtime: the library wants it so."""
        try:
            for slot in self._slots:
                slot.free()
        finally:
            self._turns = itertools.cycle(())
            self._slots.clear()
            self._engine = None
            self._runtime = None

    def _outputs(self, job: Job) -> dict[str, AnyArray]:
        if job.outputs is None:
            self._check_open()
            with self._device.active():
                job.slot.finish()
        if job.outputs is None:
            raise EngineError(
                f"the engine '{self._name}' lost a batch behind a failure: open it again."
            )
        return job.outputs

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError(f"the engine '{self._name}' has been closed.")

    def _not_loaded(self, plan: Path, library: Library, reason: str) -> EngineError:
        gpu = self._device
        have = ".".join(map(str, gpu.compute_capability))
        return EngineError(
            f"{library.title} cannot load the engine '{plan}' on {gpu.name} with compute "
            f"capability {have} ({' '.join(reason.split())}); it was built with "
            f"{self.sidecar.library_version} for {self.sidecar.compute_capability or 'several'}: "
            "build it again with export/to_tensorrt.py on this machine."
        )


def _clear_frames(error: BaseException) -> None:
    """What the frames of an error hold of the library would outlive the device's context."""
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__


def _listed(dtypes: Mapping[str, np.dtype[Any]]) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items()) or "nothing"
