"""Plans of the stand-in with their sidecars, for engines on features and for the demo's engine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from manifests import small_manifest
from onnx import TensorProto, helper, numpy_helper
from places import ROOT
from stand_in import plan_bytes

from wsgn.engines.tensorrt.sidecar import (
    FORMAT_VERSION,
    PlanSidecar,
    Profile,
    ShapeRange,
    network_name,
    sidecar_path,
)
from wsgn.manifest import FeatureInput, Manifest

SIZE = 5
DEMO = ROOT / "runtime" / "demo" / "demo.onnx"


def feature_manifest(**changes: Any) -> Manifest:
    """Three classes from features of 5 channels."""
    manifest = dataclasses.replace(small_manifest(), frames=None, features=FeatureInput(size=SIZE))
    return dataclasses.replace(manifest, **changes)


def feature_model(
    *, names: tuple[str, str, str] | None = None, kind: int = TensorProto.FLOAT
) -> bytes:
    """Two linear layers on features (N, 5), one behind a softmax."""
    features, logits, probabilities = names or (
        "features",
        "selection_logits",
        "class_probabilities",
    )
    numbers = np.random.default_rng(7)
    dtype = np.float32 if kind == TensorProto.FLOAT else np.float64
    weights = {name: numbers.normal(size=(SIZE, 3)).astype(dtype) for name in ("a", "b")}
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", [features, "a"], [logits]),
            helper.make_node("MatMul", [features, "b"], ["classes"]),
            helper.make_node("Softmax", ["classes"], [probabilities], axis=-1),
        ],
        "features",
        [helper.make_tensor_value_info(features, kind, ["N", SIZE])],
        [helper.make_tensor_value_info(name, kind, ["N", 3]) for name in (logits, probabilities)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())


def profile(
    name: str,
    sizes: tuple[int, int, int],
    *,
    rest: tuple[int, ...] = (SIZE,),
    tensor: str = "features",
) -> Profile:
    """A profile of one input whose first size goes from the first to the last of `sizes`."""
    low, best, high = ((size, *rest) for size in sizes)
    return Profile(name=name, inputs={tensor: ShapeRange(minimum=low, optimum=best, maximum=high)})


PROFILES = (profile("streaming", (1, 2, 4)), profile("offline", (2, 8, 16)))


def write_plan(
    path: Path,
    *,
    manifest: Manifest | None = None,
    model: bytes | None = None,
    profiles: tuple[Profile, ...] = PROFILES,
    content: bytes | None = None,
    **changes: Any,
) -> Path:
    """A plan and its sidecar; `changes` are fields of the sidecar."""
    manifest = manifest or feature_manifest()
    if content is None:
        shapes = [
            {key: [r.minimum, r.optimum, r.maximum] for key, r in one.inputs.items()}
            for one in profiles
        ]
        content = plan_bytes(network_name(manifest), model or feature_model(), shapes)
    sidecar = PlanSidecar(
        format_version=FORMAT_VERSION,
        manifest=manifest,
        plan_sha256=hashlib.sha256(content).hexdigest(),
        library="tensorrt",
        library_version="11.4.0.106",
        compute_capability="9.0",
        platform=f"{platform.system()}-{platform.machine()}",
        network_name=network_name(manifest),
        flags=(),
        profiles=profiles,
    )
    path.write_bytes(content)
    sidecar_path(path).write_text(dataclasses.replace(sidecar, **changes).to_json())
    return path


def demo_manifest() -> Manifest:
    """What the demo's engine says about itself."""
    (text,) = (prop.value for prop in onnx.load(DEMO).metadata_props if prop.key == "wsgn.manifest")
    return Manifest.from_json(text)


def edit_sidecar(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the document beside a plan."""
    document = json.loads(sidecar_path(path).read_text())
    change(document)
    sidecar_path(path).write_text(json.dumps(document))
