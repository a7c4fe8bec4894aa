"""The stateless snippet graph of a model as an ONNX document."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from wsgn.checkpoint import Checkpoint
from wsgn.config import ModelConfig
from wsgn.errors import EngineError, UsageError
from wsgn.export.half import convolutions_in_half
from wsgn.files import write_whole_file
from wsgn.manifest import FORMAT_VERSION, METADATA_KEY, Manifest, SelectionRule
from wsgn.methods.config import WsgnConfig
from wsgn.methods.wsgn import Wsgn
from wsgn.model import WeakDetector
from wsgn.selection_operator import class_probabilities

OPSET = 20
OUTPUTS = ("selection_logits", "class_probabilities")


class SnippetGraph(nn.Module):
    """Frames (N, L, H, W, 3) uint8 or features (N, D) -> selection logits, class probabilities.

    `front` makes features out of frames where the model itself takes features.
    """

    def __init__(self, model: WeakDetector, front: nn.Module | None = None) -> None:
        super().__init__()
        self.front = nn.Identity() if front is None else front
        self.model = model

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Both outputs are (N, C) float32; nothing depends on other snippets."""
        heads = self.model(self.front(inputs))
        activation = wsgn_config(self.model.config).class_activation
        return heads.selection_logits, class_probabilities(heads.class_logits, activation)


def wsgn_config(config: ModelConfig) -> WsgnConfig:
    """The method, which must be WSGN: hosts know no other one's way of scoring."""
    if not isinstance(config.method, WsgnConfig):
        raise UsageError(
            f"a model of the method '{config.method.name}' cannot be exported, only one of wsgn."
        )
    return config.method


def describe(checkpoint: Checkpoint, model: WeakDetector) -> Manifest:
    """The manifest of a trained model; a `UsageError` says when its training has not ended."""
    if checkpoint.calibration is None:
        raise UsageError(
            "the checkpoint holds no thresholds: it is one to resume from. Export the "
            "model.safetensors beside it; if there is none yet, wsgn-train --resume makes it."
        )
    config = checkpoint.model
    method = wsgn_config(config)
    assert isinstance(model.method, Wsgn)
    rule = SelectionRule(
        components=method.components,
        softmax_scale=method.scoring_softmax_scale,
        class_activation=method.class_activation,
        variance_epsilon=method.variance_epsilon,
        global_mean=tuple(model.method.global_mean.tolist()),
        global_std=tuple(model.method.global_std.tolist()),
    )
    return Manifest(
        format_version=FORMAT_VERSION,
        classes=config.classes,
        sampling=config.sampling,
        selection=rule,
        prior=checkpoint.calibration.prior,
        detection=checkpoint.calibration.detection,
        frames=config.frames,
        features=config.features,
        provenance={
            "supervision": checkpoint.train.supervision,
            "steps": str(checkpoint.step),
            "seed": str(checkpoint.train.seed),
        },
    )


def example_input(manifest: Manifest, num_snippets: int) -> Tensor:
    """Random input of the right shape, the same for the same size."""
    generator = torch.Generator().manual_seed(num_snippets)
    if manifest.frames is None:
        assert manifest.features is not None
        return torch.randn(num_snippets, manifest.features.size, generator=generator)
    frames = manifest.frames
    shape = (num_snippets, manifest.sampling.snippet_length, frames.height, frames.width, 3)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class Exportable:
    """A network in evaluation mode and what a host must know of it."""

    graph: SnippetGraph
    manifest: Manifest


def exportable(checkpoint: Checkpoint) -> Exportable:
    """A trained model as it is: on frames if it was trained on them, else on features."""
    model = checkpoint.build()
    return Exportable(graph=SnippetGraph(model).eval(), manifest=describe(checkpoint, model))


def build_graph(checkpoint: Checkpoint) -> onnx.ModelProto:
    """One self-contained document with the manifest inside, the same bytes every time."""
    return export_graph(exportable(checkpoint))


def export_graph(subject: Exportable, *, half: bool = False) -> onnx.ModelProto:
    """The document of a network; with `half` its convolutions compute in float16."""
    manifest = subject.manifest
    name = "features" if manifest.frames is None else "frames"
    with _quiet(), torch.inference_mode():
        program = torch.onnx.export(
            subject.graph,
            (example_input(manifest, 2),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[name],
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
            verbose=False,
        )
    assert program is not None
    document = program.model_proto
    _check_dynamic(document)
    _strip(document)
    if half:
        convolutions_in_half(document)
    onnx.helper.set_model_props(document, {METADATA_KEY: manifest.to_json()})
    onnx.checker.check_model(document, full_check=True)
    return document


def save_graph(document: onnx.ModelProto, path: Path) -> None:
    """Write the document: never half a file."""
    write_whole_file(path, document.SerializeToString(deterministic=True), what="the engine")


def _check_dynamic(document: onnx.ModelProto) -> None:
    """Dimensions get specialised silently: the number of snippets must have stayed symbolic."""
    for value in [*document.graph.input, *document.graph.output]:
        if not value.type.tensor_type.shape.dim[0].dim_param:
            raise EngineError(f"the export fixed the number of snippets of '{value.name}'.")


def _strip(document: onnx.ModelProto) -> None:
    """Remove stack traces with source paths, and names of modules: nothing runs on them."""
    graph = document.graph
    document.ClearField("metadata_props")
    graph.ClearField("metadata_props")
    graph.ClearField("value_info")
    for item in [*graph.node, *graph.input, *graph.output, *graph.initializer]:
        item.ClearField("metadata_props")
    for node in graph.node:
        node.ClearField("doc_string")


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's notes on its own progress are not for the user."""
    names = ("torch.onnx", "onnxscript", "onnx_ir")
    levels = [logging.getLogger(name).level for name in names]
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in zip(names, levels, strict=True):
            logging.getLogger(name).setLevel(level)
