"""What lies beside compiled things: kernels.json of a bundle, and the sidecar of a plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.fuzz.case import Case, Draw, Place, Surface, run
from benchmarks.fuzz.damage import damaged_bytes, damaged_document
from benchmarks.fuzz.engines import demo_manifest
from wsgn.engines.tensorrt.sidecar import PlanSidecar, Profile, ShapeRange, network_name
from wsgn.manifest import Manifest
from wsgn.support.records import record_to_dict

_FOLDER, _PLAN = "bundle", "engine.plan"
_IMAGE, _TEXT = b"\x7fELF made", b"// PTX made\n"
_KERNELS = ("statistics", "sums", "scores")


def _kernel(name: str) -> dict[str, Any]:
    parameters = (("x_ptr", "*fp32", "u64"), ("rows", "i32", "u32"), ("epsilon", "fp32", "f32"))
    return {
        "name": name,
        "parameters": [{"name": n, "kind": k, "ptx_type": t} for n, k, t in parameters],
        "constants": {"BLOCK": 64, "WITH_SOFTMAX": True, "mu_ptr": None},
        "num_warps": 4,
        "shared_bytes": 1024,
        "registers": 40,
        "spilled_bytes": 0,
        "cubin_sha256": hashlib.sha256(_IMAGE).hexdigest(),
        "ptx_sha256": hashlib.sha256(_TEXT).hexdigest(),
    }


def _bundle() -> dict[str, Any]:
    targets = [
        {
            "capability": capability,
            "ptx_target": f"sm_{capability}",
            "ptx_version": "8.7",
            "assembler": "12.9",
            "kernels": [_kernel(name) for name in _KERNELS],
        }
        for capability in (80, 90)
    ]
    return {
        "format_version": 1,
        "num_classes": 7,
        "components": ["local_gaussian", "global_gaussian", "temporal_softmax"],
        "softmax_scale": "max_one",
        "class_activation": "softmax",
        "dtype": "float32",
        "layout": {
            "chunk": 64, "lanes": 32, "num_moments": 4, "num_sums": 2, "num_statistics": 9,
            "first_result": 5,
        },
        "triton_version": "3.2.0",
        "targets": targets,
    }  # fmt: skip


def _bundle_case(document: bytes, change: str) -> Case:
    files = {
        f"{_FOLDER}/sm_{capability}/{name}.{form}": data
        for capability in (80, 90)
        for name in _KERNELS
        for form, data in (("cubin", _IMAGE), ("ptx", _TEXT))
    }
    files[f"{_FOLDER}/kernels.json"] = document
    return Case(files=files, words=(_FOLDER,), change=change)


def _whole_bundle(bases: Path) -> Case:
    return _bundle_case(json.dumps(_bundle()).encode(), "nothing")


def _damaged_bundle(draw: Draw, bases: Path) -> Case:
    return _bundle_case(*damaged_document(draw, _bundle()))


def _read_bundle(place: Place, words: Sequence[str]) -> int:
    """As a host does: what suits the GPU is chosen, held against the model, and read."""
    from wsgn.engines.kernels.bundle import read_bundle, read_image

    bundle = read_bundle(Path(words[0]))
    manifest = Manifest.from_json(json.dumps(demo_manifest()))
    bundle.check_rule(manifest.selection, len(manifest.classes))
    for capability in ((8, 0), (8, 9), (9, 0), (12, 0)):
        target, form = bundle.choose(capability)
        for kernel in target.kernels:
            read_image(Path(words[0]), target, kernel, form)
    bundle.to_json()
    return 0


def _sidecar() -> dict[str, Any]:
    manifest = Manifest.from_json(json.dumps(demo_manifest()))
    shapes = ShapeRange(minimum=(1, 8, 48, 64, 3), optimum=(1, 8, 48, 64, 3),
                        maximum=(16, 8, 48, 64, 3))  # fmt: skip
    sidecar = PlanSidecar(
        format_version=1, manifest=manifest, plan_sha256=hashlib.sha256(_IMAGE).hexdigest(),
        library="tensorrt", library_version="10.13.0", compute_capability="9.0",
        platform="Linux-x86_64", network_name=network_name(manifest), flags=("tf32",),
        profiles=(Profile(name="streaming", inputs={"frames": shapes}),),
    )  # fmt: skip
    return {**record_to_dict(sidecar), "manifest": json.loads(manifest.to_json())}


def _renamed(document: dict[str, Any]) -> dict[str, Any]:
    """With the name that belongs to its manifest, so that a changed one is looked at too."""
    text = json.dumps(document["manifest"], sort_keys=True, separators=(",", ":"))
    return document | {"network_name": f"wsgn:{hashlib.sha256(text.encode()).hexdigest()}"}


def _sidecar_case(document: bytes, change: str, plan: bytes = _IMAGE) -> Case:
    words = ("manifest", _PLAN)
    return Case(files={_PLAN: plan, f"{_PLAN}.json": document}, words=words, change=change)


def _whole_sidecar(bases: Path) -> Case:
    return _sidecar_case(json.dumps(_sidecar()).encode(), "nothing")


def _damaged_sidecar(draw: Draw, bases: Path) -> Case:
    document = _sidecar()
    if draw.random() < 0.05:
        plan = damaged_bytes(draw, _IMAGE)
        return _sidecar_case(json.dumps(document).encode(), "bytes of the plan", plan)
    if draw.random() < 0.5:
        return _sidecar_case(*damaged_document(draw, document))
    # Within the manifest.
    text, change = damaged_document(draw, document["manifest"])
    try:
        changed = json.loads(text)
    except (ValueError, RecursionError):
        changed = None
    whole = _renamed(document | {"manifest": changed})
    return _sidecar_case(json.dumps(whole).encode(), f"manifest: {change}")


def _read_sidecar(place: Place, words: Sequence[str]) -> int:
    return run("wsgn.runtime.cli.main", words)


SURFACES = (
    Surface(
        name="kernels.json", share=30, whole=_whole_bundle, damaged=_damaged_bundle,
        read=_read_bundle,
    ),
    Surface(
        name="plan sidecar", share=30, whole=_whole_sidecar, damaged=_damaged_sidecar,
        read=_read_sidecar,
    ),
)  # fmt: skip
