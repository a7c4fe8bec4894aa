"""An ONNX file into a TensorRT plan: the same steps for TensorRT and TensorRT-RTX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wsgn.engines.tensorrt.bindings import (
    Bindings,
    BuilderConfig,
    Network,
    OptimizationProfile,
    Parser,
    ParserComplaint,
    PlanBuilder,
)
from wsgn.engines.tensorrt.library import Library, LibraryLog
from wsgn.engines.tensorrt.sidecar import Profile, network_name
from wsgn.errors import EngineError, UsageError
from wsgn.export.plan.input import PlanInput
from wsgn.support.signals import HeldSignal, hold_signals


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How a plan is built; see `to_tensorrt --help` for what each costs."""

    # Products of float32 numbers in TensorFloat-32, with 11 bits of each factor.
    tf32: bool = False
    # Runs in later versions of the library; only full TensorRT.
    version_compatible: bool = False
    # Runs on every GPU from Ampere on; only full TensorRT.
    hardware_compatible: bool = False
    # The fused kernel in place of the selection's operators; see `input.with_plugin`.
    plugin: bool = False
    # Megabytes (2^20 bytes) of scratch memory; None is all of the GPU's.
    workspace_mb: int | None = None

    def __post_init__(self) -> None:
        if self.workspace_mb is not None and self.workspace_mb < 1:
            raise UsageError(f"--workspace-mb must be at least 1, got {self.workspace_mb}.")

    def flags(self, *, half: bool) -> tuple[str, ...]:
        """Those that a sidecar tells, in a fixed order."""
        given = {
            "tf32": self.tf32,
            "half": half,
            "version_compatible": self.version_compatible,
            "hardware_compatible": self.hardware_compatible,
            "plugin": self.plugin,
        }
        return tuple(name for name, is_set in given.items() if is_set)


@dataclass(frozen=True, kw_only=True, eq=False)
class BuiltPlan:
    """What a build leaves behind."""

    content: bytes
    # None where none was asked for.
    timing_cache: bytes | None = None


def check_options(library_name: str, options: BuildOptions, *, timing_cache: bool) -> None:
    """Raise a `UsageError` for what TensorRT-RTX does not have: it would not say so itself."""
    if library_name != "tensorrt_rtx":
        return
    if options.version_compatible:
        raise UsageError(
            "TensorRT-RTX has no version-compatible plans: leave --version-compatible out and "
            "build again after an update."
        )
    if options.hardware_compatible:
        raise UsageError(
            "a plan of TensorRT-RTX runs on every GPU from Ampere to Blackwell that it supports "
            "as it is: leave --hardware-compatible out."
        )
    if timing_cache:
        raise UsageError(
            "TensorRT-RTX chooses kernels when a plan is loaded and keeps no timings: leave "
            "--timing-cache out."
        )


def build_plan(
    library: Library,
    source: PlanInput,
    profiles: Sequence[Profile],
    options: BuildOptions,
    *,
    timing_cache: bytes | None = None,
) -> BuiltPlan:
    """Parse and build. Raises `EngineError` with everything that the library says about it.

    `timing_cache` holds the timings of earlier builds; empty starts a new one. A `UsageError` says
    when they are none. A signal ends the build at its next step, and then does what it does. Full
    TensorRT must not get here on a machine without a driver.
    """
    bindings: Bindings = library.module
    with library.collected() as log, hold_signals() as held:
        builder = bindings.Builder(library.logger)
        network = _parsed_network(library, builder, source, log, options)
        config = builder.create_builder_config()
        _configure(bindings, config, options)
        monitor = make_monitor(bindings, held)
        config.progress_monitor = monitor
        for profile in profiles:
            _add_profile(builder, config, profile, log)
        if timing_cache is not None:
            _use_timings(config, timing_cache)
        content = builder.build_serialized_network(network, config)
        if content is None:
            raise EngineError(
                f"{library.title} cannot build a plan of '{source.path}' ({log.errors()}): give "
                "smaller --max-snippets or --max-batch, or more --workspace-mb, where it wants "
                "memory."
            )
        timings = None if timing_cache is None else _timings(config)
        return BuiltPlan(content=bytes(memoryview(content)), timing_cache=timings)


def _parsed_network(
    library: Library,
    builder: PlanBuilder,
    source: PlanInput,
    log: LibraryLog,
    options: BuildOptions,
) -> Network:
    bindings: Bindings = library.module
    network = builder.create_network(_network_flags(bindings, options))
    if network is None:
        raise EngineError(f"{library.title} cannot make a network ({log.errors()}).")
    parser = bindings.OnnxParser(network, library.logger)
    if not parser.parse(source.for_tensorrt):
        raise EngineError(
            f"{library.title} cannot take the graph of '{source.path}': "
            f"{_complaints(parser) or log.errors()}; run the .onnx file itself instead."
        )
    network.name = network_name(source.manifest)
    return network


def _network_flags(bindings: Bindings, options: BuildOptions) -> int:
    """Types are those of the graph; libraries that know nothing else may drop the flag."""
    wanted = ["STRONGLY_TYPED"]
    if options.plugin:
        # Otherwise the library looks for an implementation in Python.
        wanted.append("PREFER_AOT_PYTHON_PLUGINS")
    members = bindings.NetworkDefinitionCreationFlag.__members__
    return sum(1 << int(members[name]) for name in wanted if name in members)


def _complaints(parser: Parser) -> str:
    """All of the parser's errors: it goes on after the first node that it cannot take."""
    return "; ".join(_complaint(parser.get_error(index)) for index in range(parser.num_errors))


def _complaint(error: ParserComplaint) -> str:
    words = " ".join(error.desc().split())
    # A node that is not supported at all is reported as `false` by the check of its operator.
    if words == "false":
        words = f"the operator is not supported ({error.func()})"
    if not error.node_operator():
        return words
    return f"node '{error.node_name()}' ({error.node_operator()}): {words}"


def _configure(bindings: Bindings, config: BuilderConfig, options: BuildOptions) -> None:
    # It is on by default, and changes results in the third digit.
    if options.tf32:
        config.set_flag(bindings.BuilderFlag.TF32)
    else:
        config.clear_flag(bindings.BuilderFlag.TF32)
    if options.version_compatible:
        config.set_flag(bindings.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatible:
        config.hardware_compatibility_level = bindings.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.workspace_mb is not None:
        pool = bindings.MemoryPoolType.WORKSPACE
        config.set_memory_pool_limit(pool, options.workspace_mb << 20)


def _add_profile(
    builder: PlanBuilder, config: BuilderConfig, profile: Profile, log: LibraryLog
) -> None:
    added: OptimizationProfile = builder.create_optimization_profile()
    for name, shapes in profile.inputs.items():
        added.set_shape(name, shapes.minimum, shapes.optimum, shapes.maximum)
    if config.add_optimization_profile(added) < 0:
        raise EngineError(f"the library refuses the profile '{profile.name}' ({log.errors()}).")


def _use_timings(config: BuilderConfig, timing_cache: bytes) -> None:
    """Give the builder earlier timings; what is none of its own would be overwritten later."""
    cache = config.create_timing_cache(timing_cache)
    if cache is None or not config.set_timing_cache(cache, False):
        raise UsageError(
            "the timing cache holds no timings of this GPU and this version of TensorRT: name "
            "another file, or one that does not exist yet."
        )


def _timings(config: BuilderConfig) -> bytes | None:
    cache = config.get_timing_cache()
    return None if cache is None else bytes(memoryview(cache.serialize()))


def make_monitor(bindings: Bindings, held: HeldSignal) -> Any:
    """An IProgressMonitor of the module that ends the build once a signal has come."""
    base: Any = bindings.IProgressMonitor

    class Monitor(base):  # type: ignore[misc]
        def __init__(self) -> None:
            # pybind11 wants the base's own constructor, not super().
            base.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
            """The base has none, and would fail."""

        def phase_finish(self, phase_name: str) -> None:
            """The base has none, and would fail."""

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Called from C++, also from other threads: nothing may be raised here."""
            return held.number is None

    return Monitor()
