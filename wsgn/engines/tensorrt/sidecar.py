"""The JSON document beside a TensorRT plan, `wsgn.plan` -> `wsgn.plan.json`.

A plan carries no metadata but the name of its network. That name is the hash of the manifest, and
the sidecar holds the hash of the plan: neither can be exchanged alone.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from wsgn.errors import EngineError, UsageError
from wsgn.manifest import Manifest
from wsgn.support.json_input import read_object
from wsgn.support.records import record_from_dict, record_to_dict

FORMAT_VERSION = 1
# By which a plan is told from an ONNX file, in small letters.
PLAN_SUFFIXES = (".plan", ".engine", ".trt")
# What may stand in `PlanSidecar.flags`.
FLAGS = ("tf32", "half", "version_compatible", "hardware_compatible", "plugin")
# "tensorrt" is the full library, "tensorrt_rtx" TensorRT-RTX: their plans are not exchangeable.
LIBRARIES = ("tensorrt", "tensorrt_rtx")
# Sizes are int32 to TensorRT's profiles.
_LARGEST = (1 << 31) - 1
_COPY = "copy it again, or build the plan with export/to_tensorrt.py"


@dataclass(frozen=True, kw_only=True)
class ShapeRange:
    """Shapes of one input that a profile takes; `optimum` is what it is tuned for."""

    minimum: tuple[int, ...]
    optimum: tuple[int, ...]
    maximum: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = tuple(zip(self.minimum, self.optimum, self.maximum, strict=False))
        same_length = len(self.minimum) == len(self.optimum) == len(self.maximum)
        if not same_length or not all(
            1 <= low <= best <= high <= _LARGEST for low, best, high in sizes
        ):
            raise UsageError(
                "a profile needs 1 <= minimum <= optimum <= maximum < 2^31 in every dimension, got "
                f"{list(self.minimum)}, {list(self.optimum)} and {list(self.maximum)}."
            )

    def holds(self, shape: tuple[int, ...]) -> bool:
        """Whether an input of this shape may be given."""
        return len(shape) == len(self.minimum) and all(
            low <= size <= high
            for low, size, high in zip(self.minimum, shape, self.maximum, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One optimization profile; its index in the plan is its place in `PlanSidecar.profiles`."""

    # "streaming", "offline".
    name: str
    # By the name of the input.
    inputs: dict[str, ShapeRange]


@dataclass(frozen=True, kw_only=True)
class PlanSidecar:
    """Everything that must be known of a plan before a library touches it."""

    format_version: int
    manifest: Manifest
    # Of the plan file, in hexadecimal digits.
    plan_sha256: str
    # One of LIBRARIES, and its version, "11.4.0.106".
    library: str
    library_version: str
    # Of the GPU that the plan was built on, "9.0"; empty where the plan is for several.
    compute_capability: str
    # "Linux-x86_64": the operating system and processor that the plan was built on.
    platform: str
    # What the plan calls itself; see `network_name`.
    network_name: str
    # Subset of FLAGS.
    flags: tuple[str, ...]
    profiles: tuple[Profile, ...]

    def __post_init__(self) -> None:
        _check_version(self.format_version)
        if self.library not in LIBRARIES:
            raise UsageError(f"library must be one of {', '.join(LIBRARIES)}, got {self.library}.")
        unknown = set(self.flags) - set(FLAGS)
        if unknown:
            raise UsageError(f"flags may be {', '.join(FLAGS)}, got {', '.join(sorted(unknown))}.")
        if not self.profiles:
            raise UsageError("it names no optimization profile.")

    def to_json(self) -> str:
        """The document, for people to read as well; equal sidecars give equal bytes."""
        document = record_to_dict(self) | {"manifest": json.loads(self.manifest.to_json())}
        return json.dumps(document, sort_keys=True, indent=1, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str) -> PlanSidecar:
        """Read a document; a `UsageError` says what is wrong with it."""
        document = read_object(text, what="it", error=UsageError)
        # First: another version may have other fields.
        _check_version(document.get("format_version"))
        sidecar = record_from_dict(PlanSidecar, document, what="it")
        # Of the text, not of the record: a later wsgn may know fields that this one does not have.
        if sidecar.network_name != _hashed_name(document["manifest"]):
            raise UsageError("its manifest is not the one that the plan was built with.")
        return replace(sidecar, plan_sha256=sidecar.plan_sha256.lower())


def is_plan(path: Path) -> bool:
    """Whether a file is a plan, by its name."""
    return path.suffix.lower() in PLAN_SUFFIXES


def sidecar_path(plan: Path) -> Path:
    """`wsgn.plan` -> `wsgn.plan.json`."""
    return plan.with_name(plan.name + ".json")


def network_name(manifest: Manifest) -> str:
    """The name that a plan of this manifest carries: a hash of the manifest."""
    return _hashed_name(json.loads(manifest.to_json()))


def read_sidecar(plan: Path) -> PlanSidecar:
    """The sidecar of a plan; of a link to a plan the one beside the link, or beside the plan.

    Raises `EngineError` with what to do.
    """
    path, text = _read(plan)
    try:
        return PlanSidecar.from_json(text)
    except UsageError as error:
        raise EngineError(
            f"the sidecar '{path}' of the engine cannot be used: {error} Build the plan again with "
            "export/to_tensorrt.py."
        ) from error


def _read(plan: Path) -> tuple[Path, str]:
    """The path and text of a sidecar. Raises `EngineError`."""
    path = sidecar_path(plan)
    try:
        if plan.is_symlink() and not path.exists():
            beside_plan = sidecar_path(plan.resolve())
            path = beside_plan if beside_plan.exists() else path
        # Reading a pipe or a device would never end.
        if path.exists() and not path.is_file():
            raise EngineError(f"the sidecar '{path}' of the engine is no regular file: {_COPY}.")
        return path, path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise EngineError(
            f"the engine '{plan}' has no sidecar '{path.name}', which says its classes and "
            "sampling: copy it beside the plan, or build the plan with export/to_tensorrt.py."
        ) from error
    except OSError as error:
        raise EngineError(
            f"the sidecar '{path}' of the engine cannot be read ({error.strerror}): check its "
            "permissions."
        ) from error
    except UnicodeDecodeError as error:
        raise EngineError(
            f"the sidecar '{path}' of the engine cannot be read ({error}): {_COPY}."
        ) from error


def _check_version(version: object) -> None:
    if version != FORMAT_VERSION:
        raise UsageError(
            f"it has format version {version}, which takes another version of wsgn (this one reads "
            f"{FORMAT_VERSION})."
        )


def _hashed_name(manifest: object) -> str:
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return f"wsgn:{hashlib.sha256(text.encode()).hexdigest()}"
