"""A slot: everything that one batch needs while it is on its way through a GPU."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from wsgn.engines.cuda.device import Buffer, Device, Graph
from wsgn.engines.tensorrt.checks import Tensor
from wsgn.engines.tensorrt.library import Library
from wsgn.engines.tensorrt.session_api import ExecutionContext
from wsgn.errors import EngineError
from wsgn.support.arrays import AnyArray

Shapes = dict[str, tuple[int, ...]]

# Graphs that a slot may make: a device keeps each until it is closed.
_MOST_GRAPHS = 16


@dataclass(eq=False, kw_only=True)
class Job:
    """One batch that was given to a slot; `outputs` is None until the slot has finished it."""

    slot: Slot
    outputs: dict[str, AnyArray] | None = None


@dataclass(kw_only=True)
class _Room:
    """Memory of one tensor on both sides of the bus; as large as the largest batch so far."""

    # (num_bytes,) uint8, page-locked.
    pinned: AnyArray
    buffer: Buffer


@dataclass(kw_only=True)
class _Bound:
    """What an execution context is set to."""

    profile: int
    inputs: Shapes
    # Views into page-locked memory, by the name of every tensor.
    views: dict[str, AnyArray]
    # The work as one launch, from its second time on. TensorRT forbids to change a context that a
    # graph was captured from, so a graph lives only as long as its shapes.
    graph: Graph | None = None
    num_runs: int = 0


@dataclass(kw_only=True)
class _State:
    rooms: dict[str, _Room] = field(default_factory=dict)
    bound: _Bound | None = None
    job: Job | None = None


class Slot:
    """A stream, an execution context and memory; it holds one batch at a time.

    Everything here wants the device to be active.
    """

    def __init__(
        self,
        device: Device,
        context: ExecutionContext,
        tensors: tuple[Tensor, ...],
        *,
        name: str,
        library: Library,
        graphs: bool,
    ) -> None:
        self._device = device
        self._context: ExecutionContext | None = context
        self._tensors = tensors
        self._name = name
        self._library = library
        self._num_graphs_left = _MOST_GRAPHS if graphs else 0
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
        if bound.graph is None and self._num_graphs_left > 0 and bound.num_runs == 1:
            # The first run had to be a plain one: it does what TensorRT put off until then.
            self._num_graphs_left -= 1
            bound.graph = self._device.capture(self._stream, lambda: self._queue(bound))
        if bound.graph is not None:
            bound.graph.launch(self._stream)
        else:
            self._queue(bound)
        bound.num_runs += 1
        self._state.job = Job(slot=self)
        return self._state.job

    def finish(self) -> None:
        """Wait for the batch, if there is one, and take its outputs out of page-locked memory."""
        job, self._state.job = self._state.job, None
        bound = self._state.bound
        if job is None or bound is None:
            return
        self._stream.synchronize()
        job.outputs = {
            tensor.name: bound.views[tensor.name].copy()
            for tensor in self._tensors
            if not tensor.is_input
        }

    def free(self) -> None:
        """Give everything back, also after a failure; a second call does nothing."""
        state, self._state = self._state, _State()
        try:
            if self._context is not None:
                self._stream.synchronize()
        finally:
            self._context = None
            for room in state.rooms.values():
                room.buffer.free()

    def _queue(self, bound: _Bound) -> None:
        for tensor in self._tensors:
            if tensor.is_input:
                buffer = self._state.rooms[tensor.name].buffer
                self._device.copy_in(buffer, bound.views[tensor.name], self._stream)
        with self._library.collected() as log:
            if not self._active_context().execute_async_v3(self._stream.handle):
                raise self._refusal("did not start", bound.inputs, log.errors())
        for tensor in self._tensors:
            if not tensor.is_input:
                buffer = self._state.rooms[tensor.name].buffer
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
            views = {tensor.name: self._view(context, tensor, shapes) for tensor in self._tensors}
            for name in views:
                address = self._state.rooms[name].buffer.address
                if not context.set_tensor_address(name, address):
                    raise self._refusal(f"refused the address of '{name}'", shapes, log.errors())
        self._state.bound = _Bound(profile=profile, inputs=shapes, views=views)
        return self._state.bound

    def _view(self, context: ExecutionContext, tensor: Tensor, shapes: Shapes) -> AnyArray:
        """Page-locked memory of a tensor in the shape that it has for these inputs."""
        if tensor.is_input:
            shape = shapes[tensor.name]
        else:
            shape = tuple(int(size) for size in context.get_tensor_shape(tensor.name))
            if min(shape, default=0) < 0:
                raise self._refusal(
                    f"does not know the shape of '{tensor.name}'", shapes, f"it says {shape}"
                )
        num_bytes = math.prod(shape) * tensor.dtype.itemsize
        room = self._room(tensor.name, max(num_bytes, 1))
        return room.pinned[:num_bytes].view(tensor.dtype).reshape(shape)

    def _room(self, name: str, num_bytes: int) -> _Room:
        room = self._state.rooms.get(name)
        if room is not None:
            if room.pinned.size >= num_bytes:
                return room
            # Twice as much as before: batches that grow one by one make few new rooms.
            num_bytes = max(num_bytes, 2 * room.pinned.size)
            del self._state.rooms[name]
            room.buffer.free()
        buffer = self._device.allocate(num_bytes)
        pinned = self._device.pinned((num_bytes,), np.uint8)
        self._state.rooms[name] = room = _Room(pinned=pinned, buffer=buffer)
        return room

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
