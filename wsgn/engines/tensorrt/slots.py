"""How a batch goes through a GPU: in chunks that a profile takes, each in a stream slot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from wsgn.engines.cuda.device import Buffer, Device
from wsgn.engines.tensorrt.bindings import ExecutionContext
from wsgn.engines.tensorrt.library import Library
from wsgn.engines.tensorrt.sidecar import PlanSidecar
from wsgn.engines.tensors import GraphTensors, TensorSpec
from wsgn.errors import EngineError
from wsgn.support.arrays import AnyArray

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A part of a batch and the index of the profile that takes it."""

    profile: int
    inputs: Mapping[str, AnyArray]


def cut_into_chunks(
    name: str, sidecar: PlanSidecar, inputs: Mapping[str, AnyArray]
) -> tuple[Chunk, ...]:
    """The chunks of a batch, in order: most often one. `name` is the engine's, for errors.

    Only snippets are cut, which know nothing of each other; along their first axis, N.
    """
    profile = profile_for(sidecar, _shapes(inputs))
    if profile is not None:
        return (Chunk(profile=profile, inputs=inputs),)
    return tuple(_cut(name, sidecar, inputs))


def profile_for(sidecar: PlanSidecar, shapes: Shapes) -> int | None:
    """The index of the first profile that holds inputs of these shapes."""
    for index, profile in enumerate(sidecar.profiles):
        if all(profile.inputs[name].holds(shape) for name, shape in shapes.items()):
            return index
    return None


def _cut(name: str, sidecar: PlanSidecar, inputs: Mapping[str, AnyArray]) -> Iterator[Chunk]:
    size = _largest_chunk(sidecar, _shapes(inputs))
    num_rows = min((array.shape[0] if array.ndim else 0) for array in inputs.values())
    if size == 0 or num_rows <= size:
        raise _no_profile(name, sidecar, inputs)
    for start in range(0, num_rows, size):
        part = {key: array[start : start + size] for key, array in inputs.items()}
        profile = profile_for(sidecar, _shapes(part))
        if profile is None:
            raise _no_profile(name, sidecar, part)
        yield Chunk(profile=profile, inputs=part)


def _largest_chunk(sidecar: PlanSidecar, shapes: Shapes) -> int:
    """The most rows of such a batch that a profile takes; 0 where none does."""
    if sidecar.manifest.graph != "snippet":
        return 0
    largest = 0
    for profile in sidecar.profiles:
        size = min(shapes_taken.maximum[0] for shapes_taken in profile.inputs.values())
        if all(profile.inputs[name].holds((size, *shape[1:])) for name, shape in shapes.items()):
            largest = max(largest, size)
    return largest


def _shapes(inputs: Mapping[str, AnyArray]) -> Shapes:
    return {name: array.shape for name, array in inputs.items()}


def _no_profile(name: str, sidecar: PlanSidecar, inputs: Mapping[str, AnyArray]) -> EngineError:
    taken = "; ".join(
        f"{profile.name} "
        + ", ".join(
            f"{key} {shapes.minimum} to {shapes.maximum}" for key, shapes in profile.inputs.items()
        )
        for profile in sidecar.profiles
    )
    given = ", ".join(f"{key} {shape}" for key, shape in _shapes(inputs).items())
    return EngineError(
        f"the engine '{name}' takes inputs of the shapes {taken}, got {given}: give such a shape, "
        "or build the plan again with other profiles."
    )


@dataclass(eq=False, kw_only=True)
class Job:
    """A chunk that was given to a slot; `outputs` is None until the slot has finished it."""

    slot: StreamSlot
    outputs: dict[str, AnyArray] | None = None


@dataclass(kw_only=True)
class _Buffers:
    """Memory of one tensor on both sides of the bus; as large as the largest batch so far."""

    # (num_bytes,) uint8, page-locked.
    pinned: AnyArray
    on_device: Buffer


@dataclass(kw_only=True)
class _Bound:
    """What an execution context is set to."""

    profile: int
    inputs: Shapes
    # Views into page-locked memory, by the name of every tensor.
    views: dict[str, AnyArray]


@dataclass(kw_only=True)
class _State:
    buffers: dict[str, _Buffers] = field(default_factory=dict)
    bound: _Bound | None = None
    job: Job | None = None


class StreamSlot:
    """A stream, an execution context and memory; it holds one batch at a time.

    Everything here wants the device to be active.
    """

    def __init__(
        self,
        device: Device,
        context: ExecutionContext,
        tensors: GraphTensors,
        *,
        name: str,
        library: Library,
    ) -> None:
        self._device = device
        self._context: ExecutionContext | None = context
        self._tensors = tensors
        self._name = name
        self._library = library
        self._stream = device.stream()
        # The profile that a context starts with is not set by itself on every version.
        self._profile: int | None = None
        self._state = _State()

    def start(self, profile: int, inputs: Mapping[str, AnyArray]) -> Job:
        """Queue a batch and return; a batch before it is finished first."""
        self.finish()
        bound = self._bind(profile, {name: array.shape for name, array in inputs.items()})
        for name, array in inputs.items():
            np.copyto(bound.views[name], array)
        self._queue(bound)
        self._state.job = Job(slot=self)
        return self._state.job

    def finish(self) -> None:
        """Wait for the batch, if there is one, and take its outputs out of page-locked memory."""
        job, self._state.job = self._state.job, None
        bound = self._state.bound
        if job is None or bound is None:
            return
        self._stream.synchronize()
        job.outputs = {name: bound.views[name].copy() for name in self._tensors.output_names}

    def free(self) -> None:
        """Give everything back, also after a failure; a second call does nothing."""
        state, self._state = self._state, _State()
        try:
            if self._context is not None:
                self._stream.synchronize()
        finally:
            self._context = None
            for buffers in state.buffers.values():
                buffers.on_device.free()

    def _queue(self, bound: _Bound) -> None:
        for tensor in self._tensors.inputs:
            buffer = self._state.buffers[tensor.name].on_device
            self._device.copy_in(buffer, bound.views[tensor.name], self._stream)
        with self._library.collected() as log:
            if not self._active_context().execute_async_v3(self._stream.handle):
                raise self._refusal("did not start", bound.inputs, log.errors())
        for tensor in self._tensors.outputs:
            buffer = self._state.buffers[tensor.name].on_device
            self._device.copy_out(bound.views[tensor.name], buffer, self._stream)

    def _bind(self, profile: int, shapes: Shapes) -> _Bound:
        """Set the context to a profile and shapes, unless it is set to them already."""
        bound = self._state.bound
        if bound is not None and (bound.profile, bound.inputs) == (profile, shapes):
            return bound
        self._state.bound = None
        context = self._active_context()
        with self._library.collected() as log:
            if self._profile != profile:
                self._profile = None
                if not context.set_optimization_profile_async(profile, self._stream.handle):
                    raise self._refusal(f"refused profile {profile}", shapes, log.errors())
                self._profile = profile
            for name, shape in shapes.items():
                if not context.set_input_shape(name, shape):
                    raise self._refusal(f"refused the shape of '{name}'", shapes, log.errors())
            views = {
                **{one.name: self._view(one, shapes[one.name]) for one in self._tensors.inputs},
                **{
                    one.name: self._view(one, self._output_shape(context, one, shapes))
                    for one in self._tensors.outputs
                },
            }
            for name in views:
                address = self._state.buffers[name].on_device.address
                if not context.set_tensor_address(name, address):
                    raise self._refusal(f"refused the address of '{name}'", shapes, log.errors())
        self._state.bound = _Bound(profile=profile, inputs=shapes, views=views)
        return self._state.bound

    def _output_shape(
        self, context: ExecutionContext, tensor: TensorSpec, shapes: Shapes
    ) -> tuple[int, ...]:
        """The shape that an output has for these inputs."""
        shape = tuple(int(size) for size in context.get_tensor_shape(tensor.name))
        if min(shape, default=0) < 0:
            raise self._refusal(
                f"does not know the shape of '{tensor.name}'", shapes, f"it says {shape}"
            )
        return shape

    def _view(self, tensor: TensorSpec, shape: tuple[int, ...]) -> AnyArray:
        """Page-locked memory of a tensor in this shape."""
        num_bytes = math.prod(shape) * tensor.dtype.itemsize
        buffers = self._buffers_for(tensor.name, max(num_bytes, 1))
        return buffers.pinned[:num_bytes].view(tensor.dtype).reshape(shape)

    def _buffers_for(self, name: str, num_bytes: int) -> _Buffers:
        buffers = self._state.buffers.get(name)
        if buffers is not None:
            if buffers.pinned.size >= num_bytes:
                return buffers
            # Twice as much as before: batches that grow one by one make few new buffers.
            num_bytes = max(num_bytes, 2 * buffers.pinned.size)
            del self._state.buffers[name]
            buffers.on_device.free()
        on_device = self._device.allocate(num_bytes)
        pinned = self._device.pinned((num_bytes,), np.uint8)
        self._state.buffers[name] = buffers = _Buffers(pinned=pinned, on_device=on_device)
        return buffers

    def _active_context(self) -> ExecutionContext:
        if self._context is None:
            raise EngineError(f"the engine '{self._name}' has been closed.")
        return self._context

    def _refusal(self, what: str, shapes: Shapes, reason: str) -> EngineError:
        given = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        return EngineError(
            f"the engine '{self._name}' {what} for inputs {given} ({reason}): build the plan again "
            "with export/to_tensorrt.py, and look at 'wsgn-run doctor'."
        )
