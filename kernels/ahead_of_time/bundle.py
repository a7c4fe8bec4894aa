"""The forward kernels compiled into a bundle, which a GPU runs without torch and Triton.

See `wsgn.engines.kernels.bundle` for what is written and `wsgn.engines.kernels.launcher` for who
runs it.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.nvidia.compiler import get_ptxas

from wsgn.engines.kernels.bundle import (
    DOCUMENT,
    FORMAT_VERSION,
    FORMS,
    SCRATCH,
    Bundle,
    CompiledKernel,
    Layout,
    Parameter,
    Target,
    file_of,
    read_bundle,
)
from wsgn.engines.kernels.bundle import TARGETS as TARGETS
from wsgn.errors import EngineError, OutputError, UsageError
from wsgn.manifest import (
    ACTIVATIONS,
    AVERAGE,
    COMPONENTS,
    GATES,
    PER_FRAME,
    SOFTMAX_SCALES,
    WEIGHT_SCALES,
)
from wsgn.selection.reference import LOCAL_SLOPE, Options
from wsgn.support.files import remove_leftovers, write_whole_file

from .. import launch
from ..describe_kernels import NUM_CHUNK_MOMENTS
from ..tiles import LANES
from . import ptx
from .compiled import absent_gpu, check_ahead_of_time, example_inputs
from .sass import read_resources

# PTX 8.7 is of CUDA 12.8, the first that knows compute capability 12.0: drivers from 570 take it.
# Triton's own choice is that of its assembler, 9.4, which not even driver 580 takes. A cubin holds
# no PTX, so that for cubins the assembler's version counts, not this one.
PTX_VERSION = 87


@dataclass(frozen=True, kw_only=True)
class CompiledBundle:
    """The document and the files it describes, by (compute capability, kernel, form)."""

    bundle: Bundle
    images: dict[tuple[int, str, str], bytes]


def options_for(
    num_classes: int,
    *,
    components: Sequence[str] = COMPONENTS,
    softmax_scale: str = "max_one",
    class_activation: str = "softmax",
    weight_scale: str = PER_FRAME,
    gate: str = "none",
) -> Options:
    """What the kernels are specialised on. Raises `UsageError` for what they do not compute."""
    is_average = weight_scale == AVERAGE
    if not components or not set(components) <= set(COMPONENTS):
        raise UsageError(
            f"the kernels need some of the components {', '.join(COMPONENTS)}, got "
            f"{', '.join(components) or 'none, as of the naive model'}: score with "
            "wsgn.localization.scoring.frame_scores instead."
        )
    if not is_average and softmax_scale not in SOFTMAX_SCALES:
        raise UsageError(
            f"the kernels know the softmax scales {', '.join(SOFTMAX_SCALES)}, got "
            f"'{softmax_scale}': score with wsgn.localization.scoring.frame_scores instead."
        )
    for what, name, choices in (
        ("class_activation", class_activation, ACTIVATIONS),
        ("weight_scale", weight_scale, WEIGHT_SCALES),
        ("gate", gate, GATES),
    ):
        if name not in choices:
            raise UsageError(f"{what} must be one of {', '.join(choices)}, got '{name}'.")
    if gate == "product" and not is_average:
        raise UsageError(f"the gate product is of the weight_scale {AVERAGE} alone.")
    if not 1 <= num_classes <= launch.MOST_CLASSES:
        raise UsageError(f"the kernels take 1 to {launch.MOST_CLASSES} classes, got {num_classes}.")
    use_local, use_global, use_softmax = (name in components for name in COMPONENTS)
    return Options(
        num_classes=num_classes,
        use_local=use_local,
        use_global=use_global,
        use_softmax=use_softmax,
        # Of no meaning in an average: one value, so that equal kernels have equal documents.
        softmax_scale="mean_one" if is_average else softmax_scale,
        class_activation=class_activation,
        weight_scale=weight_scale,
        gate=gate,
        # Arguments of the kernels: any value compiles the same.
        epsilon=1e-6,
        gate_level=0.1,
    )


def compile_bundle(options: Options, targets: Sequence[int] = TARGETS) -> CompiledBundle:
    """The very launches of `launch.forward` with frame scores, for float32 logits.

    Raises `OutputError` where Triton's cache cannot be written.
    """
    check_ahead_of_time()
    images: dict[tuple[int, str, str], bytes] = {}
    try:
        with _cache_of_its_own():
            compiled = [_compile_target(target, options, images) for target in sorted(set(targets))]
    except OSError as error:
        raise OutputError(
            f"Triton cannot keep what it compiles ({error}): set TRITON_CACHE_DIR to a folder that "
            "can be written to."
        ) from error
    flags = (options.use_local, options.use_global, options.use_softmax)
    plan = launch.plan_for(options.num_classes)
    bundle = Bundle(
        format_version=FORMAT_VERSION,
        num_classes=options.num_classes,
        components=tuple(name for name, used in zip(COMPONENTS, flags, strict=True) if used),
        softmax_scale=options.softmax_scale,
        class_activation=options.class_activation,
        weight_scale=options.weight_scale,
        gate=options.gate,
        dtype="float32",
        layout=Layout(
            chunk=plan.chunk,
            lanes=int(LANES.value),
            num_moments=NUM_CHUNK_MOMENTS,
            num_sums=launch.num_chunk_sums(options),
            num_statistics=options.num_statistics,
            first_result=LOCAL_SLOPE,
        ),
        triton_version=triton.__version__,
        targets=tuple(compiled),
    )
    return CompiledBundle(bundle=bundle, images=images)


def check_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Raise an `OutputError` unless a bundle may be written there: no file of others joins it."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is not a folder; choose another one.")
    remove_leftovers(folder)
    if (folder / DOCUMENT).exists():
        if not overwrite:
            raise OutputError(
                f"{folder / DOCUMENT} exists; choose another folder or add --overwrite."
            )
    elif others := sorted(path.name for path in folder.iterdir() if not _is_of_a_bundle(path)):
        raise OutputError(
            f"{folder} holds other files ({', '.join(others[:3])}); choose a new or an empty "
            "folder."
        )


def write_bundle(compiled: CompiledBundle, folder: Path, *, overwrite: bool = False) -> None:
    """Write the files and, when all are there, the document; what a former one lists goes."""
    check_folder(folder, overwrite=overwrite)
    document = folder / DOCUMENT
    if document.exists():
        _remove_former(folder)
    for target in compiled.bundle.targets:
        for kernel in target.kernels:
            for form in FORMS:
                image = compiled.images[target.capability, kernel.name, form]
                write_whole_file(
                    file_of(folder, target, kernel, form), image, what="the compiled kernel"
                )
    write_whole_file(document, compiled.bundle.to_json().encode(), what="the bundle's document")


def _is_of_a_bundle(path: Path) -> bool:
    """Whether it is what a bundle that was cut off leaves without its document."""
    is_target = path.is_dir() and re.fullmatch(r"sm_\d+", path.name) is not None
    return is_target and all(
        file.suffix in (*(f".{form}" for form in FORMS), ".tmp") for file in path.iterdir()
    )


def _remove_former(folder: Path) -> None:
    """The document goes first: what is left of a bundle is none."""
    try:
        targets = read_bundle(folder).targets
    except EngineError:
        # A damaged document does not say what was its own.
        targets = ()
    try:
        (folder / DOCUMENT).unlink()
        for target in targets:
            for kernel in target.kernels:
                for form in FORMS:
                    path = file_of(folder, target, kernel, form)
                    # A document may have been edited: nothing outside the folder is touched.
                    if path.parent.parent == folder:
                        path.unlink(missing_ok=True)
            with suppress(OSError):
                # Somebody may keep more in it.
                (folder / f"sm_{target.capability}").rmdir()
    except OSError as error:
        raise OutputError(f"{folder} cannot be cleared: {error.strerror}.") from error


def bundle_table(compiled: CompiledBundle) -> str:
    """Markdown: a row for each kernel and GPU."""
    lines = [
        "| GPU | kernel | registers | shared memory (bytes) | spills (bytes) | cubin (KB) "
        "| PTX (KB) | parameters |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for target in compiled.bundle.targets:
        for kernel in target.kernels:
            cubin, text = (
                len(compiled.images[target.capability, kernel.name, form]) / 1000
                for form in ("cubin", "ptx")
            )
            lines.append(
                f"| `{target.ptx_target}` | `{kernel.name}` | {kernel.registers} "
                f"| {kernel.shared_bytes} | {kernel.spilled_bytes} | {cubin:.1f} | {text:.1f} "
                f"| {len(kernel.parameters)} |"
            )
    return "\n".join(lines)


@contextmanager
def _cache_of_its_own() -> Iterator[None]:
    """Triton keeps what it compiles in a folder that goes with the work, unless the user named one.

    By itself it fills ~/.triton, where nobody looks for what this leaves.
    """
    if triton.knobs.cache.dir != triton.knobs.cache.get_triton_dir("cache"):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="wsgn-triton-") as folder, triton.knobs.cache.scope():
        triton.knobs.cache.dir = folder
        yield


@contextmanager
def without_source_lines() -> Iterator[None]:
    """Compile without line numbers, which name files of this machine and are half of the code."""
    with triton.knobs.compilation.scope():
        triton.knobs.compilation.disable_line_info = True
        yield


def _compile_target(
    capability: int, options: Options, images: dict[tuple[int, str, str], bytes]
) -> Target:
    kernels: list[CompiledKernel] = []
    said: set[tuple[str, str]] = set()

    def compile_only(
        kernel: Any, grid: tuple[int, ...], *arguments: object, **constants: Any
    ) -> None:
        found = kernel.warmup(*arguments, grid=grid, ptx_version=PTX_VERSION, **constants)
        text: str = found.asm["ptx"]
        said.add(ptx.target_and_version(text))
        kernels.append(_compiled_kernel(kernel, found))
        images[capability, kernel.__name__, "cubin"] = found.asm["cubin"]
        images[capability, kernel.__name__, "ptx"] = text.encode()

    with absent_gpu(capability), without_source_lines():
        inputs = example_inputs(torch.float32, options.num_classes)
        launch.forward(inputs, options, frame_scores=True, launch=compile_only)
    ((ptx_target, ptx_version),) = said
    return Target(
        capability=capability,
        ptx_target=ptx_target,
        ptx_version=ptx_version,
        assembler=get_ptxas(capability).version,
        kernels=tuple(kernels),
    )


def _compiled_kernel(kernel: Any, found: Any) -> CompiledKernel:
    """The record of what Triton compiled."""
    text, cubin = found.asm["ptx"], found.asm["cubin"]
    resources = read_resources(cubin)
    signature: dict[str, str] = found.src.signature
    values = {kernel.arg_names[path[0]]: value for path, value in found.src.constants.items()}
    return CompiledKernel(
        name=found.metadata.name,
        parameters=_parameters(signature, text),
        constants=values,
        num_warps=found.metadata.num_warps,
        shared_bytes=found.metadata.shared,
        registers=resources.registers,
        spilled_bytes=resources.spilled_bytes,
        cubin_sha256=hashlib.sha256(cubin).hexdigest(),
        ptx_sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def _parameters(signature: dict[str, str], text: str) -> tuple[Parameter, ...]:
    """Triton's names and types beside the PTX's; what the PTX has more is scratch, unused."""
    named = [(name, kind) for name, kind in signature.items() if kind != "constexpr"]
    types = ptx.parameter_types(text)
    named += [(SCRATCH, "*i8")] * (len(types) - len(named))
    assert len(types) == len(named), (types, named)
    # A launcher passes 0 for it.
    assert not ptx.reads_scratch(text)
    return tuple(
        Parameter(name=name, kind=kind, ptx_type=ptx_type)
        for (name, kind), ptx_type in zip(named, types, strict=True)
    )
