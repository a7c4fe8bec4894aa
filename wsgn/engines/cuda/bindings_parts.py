"""Streams, events, kernels and graphs of `BindingsDevice`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wsgn.engines.cuda.device import Event, Stream
from wsgn.errors import EngineError

# Calls a function of the driver by its name, inside the context: `BindingsDevice.use`.
Use = Callable[..., Any]


class BindingsStream:
    """`Stream` by cuda-bindings."""

    def __init__(self, stream: Any, use: Use, new_event: Callable[[], BindingsEvent]) -> None:
        self.handle = int(stream)
        self._use = use
        self._new_event = new_event

    def record(self) -> Event:
        """An event behind all work that was given to the stream so far."""
        event = self._new_event()
        self._use("cuEventRecord", event.handle, self.handle)
        return event

    def wait(self, event: Event) -> None:
        """Let later work wait, on the device, for an event of another stream."""
        assert isinstance(event, BindingsEvent)
        self._use("cuStreamWaitEvent", self.handle, event.handle, 0)

    def synchronize(self) -> None:
        """Wait on the host until all work is done; raises `EngineError` where it failed."""
        self._use("cuStreamSynchronize", self.handle)


class BindingsEvent:
    """`Event` by cuda-bindings; what the driver made goes to `spare` for another use."""

    def __init__(self, handle: Any, use: Use, spare: list[Any]) -> None:
        self.handle = handle
        self._use = use
        self._spare = spare

    def __del__(self) -> None:
        self._spare.append(self.handle)

    def synchronize(self) -> None:
        """Wait on the host until the work before the event is done."""
        self._use("cuEventSynchronize", self.handle)

    def milliseconds_since(self, earlier: Event) -> float:
        """Time on the device between two events that have both happened."""
        assert isinstance(earlier, BindingsEvent)
        return float(self._use("cuEventElapsedTime", earlier.handle, self.handle))


class BindingsKernel:
    """`Kernel` by cuda-bindings."""

    def __init__(self, name: str, function: Any, parameter_sizes: tuple[int, ...]) -> None:
        self.name = name
        self.function = function
        # Bytes of each parameter; empty where they are not known.
        self.parameter_sizes = parameter_sizes

    def check_arguments(self, sizes: Sequence[int]) -> None:
        """Raise where the driver, which is told no sizes, would read past the arguments."""
        if self.parameter_sizes and tuple(sizes) != self.parameter_sizes:
            raise EngineError(
                f"the kernel {self.name} takes arguments of {list(self.parameter_sizes)} bytes, "
                f"got {list(sizes)}: give NumPy scalars of these sizes."
            )


class BindingsGraph:
    """`Graph` by cuda-bindings."""

    def __init__(self, graph: Any, use: Use) -> None:
        self._graph = graph
        self._use = use

    def launch(self, stream: Stream) -> None:
        """Queue the work."""
        self._use("cuGraphLaunch", self._graph, stream.handle)
