"""A bundle: the frame-selection kernels compiled for several GPUs, in one folder.

`kernels.json` says what was compiled and how it is called; `sm_90/pool_chunks.cubin` and
`sm_90/pool_chunks.ptx` are the machine code and the assembly of one kernel for one GPU. Written by
`export/to_cubin.py`, which needs torch and Triton; reading it needs neither.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import EngineError, UsageError
from wsgn.manifest import (
    ACTIVATIONS,
    AVERAGE,
    COMPONENTS,
    GATES,
    IDENTITY,
    PER_FRAME,
    SOFTMAX_SCALES,
    WEIGHT_SCALES,
    SelectionRule,
)
from wsgn.support.json_input import read_object
from wsgn.support.records import record_from_dict, record_to_dict

FORMAT_VERSION = 1
DOCUMENT = "kernels.json"
FORMS = ("cubin", "ptx")
# The compute capabilities that are compiled for: Ampere, Ada, Hopper and Blackwell.
TARGETS = (80, 86, 89, 90, 100, 120)
# Triton's two last pointers, for memory that these kernels do not use: they are passed as 0.
SCRATCH = "scratch"
# The types of PTX that may hold a type of Triton; every pointer ("*fp32", "*i64") is as "*".
PTX_TYPES = {"*": ("u64", "b64"), "i32": ("u32", "s32", "b32"), "fp32": ("f32", "b32")}

_REMEDY = "Compile it again with export/to_cubin.py."


# Sizes are int32 to CUDA.
_LARGEST = (1 << 31) - 1


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a compiled kernel."""

    # Of the Triton kernel, "x_ptr", or SCRATCH.
    name: str
    # Triton's type, "*fp32", "*i64", "i32", "fp32", and what the PTX declares, "u64".
    kind: str
    ptx_type: str

    def __post_init__(self) -> None:
        kind = "*" if self.kind.startswith("*") else self.kind
        if self.ptx_type not in PTX_TYPES.get(kind, ()):
            raise UsageError(
                f"its parameter {self.name} of type {self.kind} is a {self.ptx_type} in the PTX."
            )


@dataclass(frozen=True, kw_only=True)
class CompiledKernel:
    """One kernel for one GPU."""

    name: str
    # In the order of the PTX.
    parameters: tuple[Parameter, ...]
    # What it was specialised on; None is a pointer that it does without.
    constants: dict[str, int | bool | None]
    num_warps: int
    # Dynamic shared memory, asked for at launch.
    shared_bytes: int
    # Of a thread.
    registers: int
    spilled_bytes: int
    cubin_sha256: str
    ptx_sha256: str

    def __post_init__(self) -> None:
        # It names a file.
        if not re.fullmatch(r"[A-Za-z0-9_]{1,100}", self.name):
            raise UsageError(f"{self.name[:100]!r} is no name of a kernel.")
        _require_int32(self)

    def sha256(self, form: str) -> str:
        """Of its file in one of FORMS, in hexadecimal digits."""
        return self.cubin_sha256 if form == "cubin" else self.ptx_sha256


@dataclass(frozen=True, kw_only=True)
class Target:
    """The kernels for one compute capability."""

    # 86 is 8.6, 120 is 12.0.
    capability: int
    # Of the PTX, "sm_86" or "sm_90a", and its version, "8.7".
    ptx_target: str
    ptx_version: str
    # The version of the assembler that made the cubins, "12.9": their driver must be of that CUDA
    # or a later one, at least in the first number.
    assembler: str
    kernels: tuple[CompiledKernel, ...]

    @property
    def specific(self) -> bool:
        """Whether the code is for this compute capability alone, as all with an "a" is."""
        return self.ptx_target.endswith("a")

    def runs_on(self, capability: int, form: str) -> bool:
        """Cubins run on the same major and a later minor version, PTX on everything later."""
        if self.specific:
            return self.capability == capability
        same_major = self.capability // 10 == capability // 10
        return self.capability <= capability and (form == "ptx" or same_major)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the host must know of the kernels' memory and grids."""

    # Snippets of a chunk.
    chunk: int
    # Classes of a tile.
    lanes: int
    # Numbers for a chunk and class, of the statistics and of the sums.
    num_moments: int
    num_sums: int
    # Numbers for a video and class, and the first of them that is a result of the last kernel.
    num_statistics: int
    first_result: int

    def __post_init__(self) -> None:
        _require_int32(self)
        if min(self.chunk, self.lanes, self.num_moments, self.num_sums) < 1 or not (
            0 <= self.first_result < self.num_statistics
        ):
            raise UsageError("its layout is not one that a kernel could have.")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What `kernels.json` says."""

    format_version: int
    num_classes: int
    # As in `wsgn.manifest.SelectionRule`; mu, sigma, epsilon and gate_level are arguments, not
    # constants.
    components: tuple[str, ...]
    softmax_scale: str
    class_activation: str
    # Documents without these two are older than both.
    weight_scale: str = PER_FRAME
    gate: str = "none"
    # Of both logits.
    dtype: str
    layout: Layout
    triton_version: str
    targets: tuple[Target, ...]

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise UsageError(
                f"it has format version {self.format_version}, this wsgn reads version "
                f"{FORMAT_VERSION}."
            )
        known = (
            self.softmax_scale in SOFTMAX_SCALES
            and self.class_activation in ACTIVATIONS
            and self.weight_scale in WEIGHT_SCALES
            and self.gate in GATES
            and set(self.components) <= set(COMPONENTS)
        )
        _require_int32(self)
        if not known or not self.components or not self.targets or self.num_classes < 1:
            raise UsageError("its options are not those of the frame selection.")

    def choose(self, capability: tuple[int, int]) -> tuple[Target, str]:
        """What a GPU of this compute capability takes, and in which of FORMS."""
        wanted = 10 * capability[0] + capability[1]
        for form in FORMS:
            fitting = [target for target in self.targets if target.runs_on(wanted, form)]
            if fitting:
                return max(fitting, key=lambda target: target.capability), form
        there = ", ".join(target.ptx_target for target in self.targets)
        # Without --targets the command compiles something for every later GPU.
        remedy = "compile them with export/to_cubin.py without --targets."
        if wanted < min(TARGETS):
            remedy = "there are none for it; score with wsgn.localization.scoring.frame_scores."
        raise EngineError(
            f"the compiled kernels are for {there}, the GPU has compute capability "
            f"{capability[0]}.{capability[1]}: {remedy}"
        )

    def check_rule(self, rule: SelectionRule, num_classes: int) -> None:
        """Raise an `EngineError` unless the kernels compute this rule."""
        # A scale says something of a softmax that has one.
        scaled = "temporal_softmax" in self.components and self.weight_scale != AVERAGE
        if (
            set(rule.components) != set(self.components)
            or rule.weight_scale != self.weight_scale
            or rule.gate != self.gate
            or rule.class_activation != self.class_activation
            or (scaled and rule.softmax_scale != self.softmax_scale)
            or num_classes != self.num_classes
        ):
            raise EngineError(
                f"the kernels were compiled for {_words(self, self.num_classes)}, the model has "
                f"{_words(rule, num_classes)}: compile them for this model "
                "with export/to_cubin.py --engine."
            )

    def to_json(self) -> str:
        """The document, for people to read as well; equal bundles give equal bytes."""
        return json.dumps(record_to_dict(self), sort_keys=True, indent=1, allow_nan=False) + "\n"


def _require_int32(record: object) -> None:
    """Whole numbers of a record are no larger than the driver takes."""
    for name, value in vars(record).items():
        if isinstance(value, int) and not -1 <= value <= _LARGEST:
            raise UsageError(f"its '{name}' is {value}, at most {_LARGEST} is possible.")


def _words(rule: Bundle | SelectionRule, num_classes: int) -> str:
    names = " + ".join(rule.components) or "no components"
    scale = AVERAGE if rule.weight_scale == AVERAGE else rule.softmax_scale
    gate = "" if rule.gate == "none" else f", the gate {rule.gate}"
    return f"{num_classes} classes, {names}, {scale}{gate} and {rule.class_activation}"


def pools_as_the_kernels(rule: SelectionRule) -> bool:
    """Whether a video score is the mean of w p, w before any gate."""
    how = rule.video_score
    if how.pooling == "frame_scores":
        return rule.gate == "none" and rule.class_activation != IDENTITY
    of_probabilities = how.of == "probabilities" or rule.class_activation == IDENTITY
    plain = how.activation == "none" and not how.bias
    return how.pooling == "weighted" and of_probabilities and plain


def file_of(folder: Path, target: Target, kernel: CompiledKernel, form: str) -> Path:
    """Where a kernel lies in one of FORMS."""
    return folder / f"sm_{target.capability}" / f"{kernel.name}.{form}"


def read_bundle(folder: Path) -> Bundle:
    """What the bundle in a folder says of itself. Raises `EngineError` with what to do."""
    path = folder / DOCUMENT
    try:
        document = read_object(path, what="the document", error=UsageError)
        return record_from_dict(Bundle, document, what="the document")
    except UsageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise EngineError(
                f"'{folder}' holds no {DOCUMENT}: give the folder that export/to_cubin.py wrote."
            ) from error
        raise EngineError(f"'{path}' cannot be used: {error} {_REMEDY}") from error


def read_image(folder: Path, target: Target, kernel: CompiledKernel, form: str) -> bytes:
    """A kernel's file, which must be the one that was compiled. Raises `EngineError`."""
    path = file_of(folder, target, kernel, form)
    try:
        image = path.read_bytes()
    except OSError as error:
        raise EngineError(f"'{path}' cannot be read ({error.strerror}). {_REMEDY}") from error
    if hashlib.sha256(image).hexdigest() != kernel.sha256(form):
        raise EngineError(f"'{path}' is not the file that {DOCUMENT} describes. {_REMEDY}")
    return image
