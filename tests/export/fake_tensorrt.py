"""A module that looks like full TensorRT's bindings and writes down how it was used.

It stands in where no driver is: what the command asks of the library is seen, not what that does.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

__version__ = "11.4.0.106"
# Every build, as the builder was told to.
builds: list[SimpleNamespace] = []
TIMINGS = b"timings of this GPU"


class ILogger:
    """As the real one, a base for loggers."""


class IProgressMonitor:
    """As the real one, a base for monitors."""


class _Member(int):
    pass


def _enum(**members: int) -> Any:
    made = {name: _Member(value) for name, value in members.items()}
    return SimpleNamespace(__members__=made, **made)


BuilderFlag = _enum(TF32=6, VERSION_COMPATIBLE=13)
NetworkDefinitionCreationFlag = _enum(STRONGLY_TYPED=1, PREFER_AOT_PYTHON_PLUGINS=3)
MemoryPoolType = _enum(WORKSPACE=0)
HardwareCompatibilityLevel = _enum(NONE=0, AMPERE_PLUS=1)


class OnnxParser:
    """Takes every document."""

    num_errors = 0

    def __init__(self, network: Any, logger: Any) -> None:
        self._network = network

    def parse(self, model: bytes) -> bool:
        self._network.document = model
        return True


class TimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> bytes:
        return TIMINGS


class BuilderConfig:
    def __init__(self) -> None:
        # On by default, as in the library.
        self.flags = {int(BuilderFlag.TF32)}
        self.hardware_compatibility_level = HardwareCompatibilityLevel.NONE
        self.pools: dict[int, int] = {}
        self.profiles: list[dict[str, Any]] = []
        self.progress_monitor: Any = None
        self.timings: TimingCache | None = None

    def set_flag(self, flag: int) -> None:
        self.flags.add(int(flag))

    def clear_flag(self, flag: int) -> None:
        self.flags.discard(int(flag))

    def set_memory_pool_limit(self, pool: int, pool_size: int) -> None:
        self.pools[int(pool)] = pool_size

    def add_optimization_profile(self, profile: Any) -> int:
        self.profiles.append(profile.shapes)
        return len(self.profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> TimingCache:
        return TimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        if cache.content not in (b"", TIMINGS):
            return ignore_mismatch
        self.timings = cache
        return True

    def get_timing_cache(self) -> TimingCache | None:
        return self.timings


class Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, Any] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        self.shapes[input] = (min, opt, max)


class Builder:
    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def create_network(self, flags: int = 0) -> Any:
        return SimpleNamespace(flags=flags, name="", document=b"")

    def create_builder_config(self) -> BuilderConfig:
        return BuilderConfig()

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Any, config: BuilderConfig) -> bytes:
        builds.append(SimpleNamespace(network=network, config=config))
        self._logger.log(SimpleNamespace(name="WARNING"), "a warning")
        self._logger.log(SimpleNamespace(name="INFO"), "a note")
        return b"plan of " + network.name.encode()
