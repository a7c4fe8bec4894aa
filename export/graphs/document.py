"""A graph of a trained model as an ONNX document."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import torch
from torch import Tensor

from wsgn.checkpoint import Checkpoint
from wsgn.engines.onnx_file import graph_sha256
from wsgn.engines.tensors import GraphTensors, graph_tensors
from wsgn.errors import EngineError, UsageError
from wsgn.export.graphs.half import convolutions_in_half
from wsgn.export.graphs.networks import (
    SnippetGraph,
    graph_function,
    graph_network,
    per_video,
)
from wsgn.export.graphs.own_network import put_in_networks
from wsgn.export.graphs.selection_function import OPSET
from wsgn.localization.timing import smoothing_snippets
from wsgn.manifest import FORMAT_VERSION, METADATA_KEY, AlarmRule, Manifest
from wsgn.methods.rules import selection_rule
from wsgn.model import WeakDetector
from wsgn.support.files import write_whole_file


def describe(checkpoint: Checkpoint, model: WeakDetector) -> Manifest:
    """The manifest of a trained model; a `UsageError` says when its training has not ended."""
    if checkpoint.calibration is None:
        raise UsageError(
            "the checkpoint holds no thresholds: it is one to resume from. Export the "
            "model.safetensors beside it; if there is none yet, wsgn-train --resume makes it."
        )
    config, calibration = checkpoint.model, checkpoint.calibration
    if config.time_unit == "frame":
        # An engine scores snippets, not the frames between them.
        calibration = calibration.smoothed(
            smoothing_snippets(config.smoothing_seconds, config.sampling)
        )
    return Manifest(
        format_version=FORMAT_VERSION,
        classes=config.classes,
        sampling=config.sampling,
        selection=selection_rule(model),
        prior=calibration.prior,
        detection=calibration.detection,
        proposals=calibration.proposals,
        frames=config.frames,
        features=config.features,
        provenance=_provenance(checkpoint),
    )


def _provenance(checkpoint: Checkpoint) -> dict[str, str]:
    found = {
        "supervision": checkpoint.train.supervision,
        "steps": str(checkpoint.step),
        "seed": str(checkpoint.train.seed),
    }
    if checkpoint.trained_on is not None:
        found["trained_on"] = checkpoint.trained_on.dataset
        found["training_videos"] = str(checkpoint.trained_on.num_videos)
    return found


def example_flow(manifest: Manifest, num_snippets: int) -> tuple[Tensor, ...]:
    """Random flow in pixels, some of it beyond the limit; none where the engine takes none."""
    if manifest.flow is None:
        return ()
    generator = torch.Generator().manual_seed(num_snippets)
    shape = graph_tensors(manifest).inputs[1].shape_at({"N": num_snippets})
    return (torch.randn(shape, generator=generator) * (manifest.flow.limit_pixels / 2),)


def example_input(manifest: Manifest, num_snippets: int) -> Tensor:
    """Random frames or features of the right shape, the same for the same size."""
    generator = torch.Generator().manual_seed(num_snippets)
    snippets = graph_tensors(replace(manifest, graph="snippet")).inputs[0]
    shape = snippets.shape_at({"N": num_snippets})
    if manifest.frames is None:
        return torch.randn(shape, generator=generator)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class Exportable:
    """A network in evaluation mode and what a host must know of it."""

    graph: SnippetGraph
    manifest: Manifest


def parity_input(subject: Exportable, num_snippets: int) -> Tensor:
    """Random input of the scale that the model knows, the same for the same size.

    Features of a small scale are standardised to numbers near 1. Others, magnified as much, would
    show nothing but the rounding of float32.
    """
    inputs = example_input(subject.manifest, num_snippets)
    standardise = subject.graph.model.standardise
    if subject.manifest.frames is not None or standardise is None:
        return inputs
    return inputs * standardise.deviation + standardise.mean


def exportable(checkpoint: Checkpoint) -> Exportable:
    """A trained model as it is: on frames if it was trained on them, else on features."""
    model = checkpoint.build()
    return Exportable(graph=SnippetGraph(model).eval(), manifest=describe(checkpoint, model))


def with_alarms(subject: Exportable, alarms: AlarmRule) -> Exportable:
    """The same network, with thresholds for streams that go on for ever."""
    detection = replace(subject.manifest.detection, alarms=alarms)
    return replace(subject, manifest=replace(subject.manifest, detection=detection))


def export_graph(
    subject: Exportable, graph: str = "snippet", *, half: bool = False, calls: str = "any"
) -> onnx.ModelProto:
    """The document of one of `wsgn.manifest.GRAPHS`; with `half` convolutions are in float16.

    The graph of streams is for one of `streaming_selection.CALLS`: for one, N is fixed.
    """
    manifest = replace(subject.manifest, graph=graph)
    tensors = graph_tensors(manifest)
    document = _exported(subject.graph, manifest, tensors)
    put_in_networks(document, subject.graph)
    function = graph_function(manifest, calls=calls)
    if function is not None:
        document.functions.append(function)
    _check_dynamic(document, tensors)
    if calls == "one":
        _fix(document, "N", 1)
    _strip(document)
    if half:
        convolutions_in_half(document)
    seal(document, manifest)
    onnx.checker.check_model(document, full_check=True)
    return document


def seal(document: onnx.ModelProto, manifest: Manifest) -> None:
    """Put the manifest into a document that is finished, with the checksums of both."""
    document.ClearField("metadata_props")
    sealed = manifest.sealed(graph_sha256(document.SerializeToString(deterministic=True)))
    onnx.helper.set_model_props(document, {METADATA_KEY: sealed.to_json()})


def _exported(snippets: SnippetGraph, manifest: Manifest, tensors: GraphTensors) -> onnx.ModelProto:
    main, *others = tensors.inputs
    # More than one of everything: dimensions of an example that are 1 get fixed.
    sizes = {axis: 2 + index for index, axis in enumerate(main.axes)}
    shape = tuple(sizes.values())
    examples = [per_video(example_input(manifest, math.prod(shape)), shape)]
    examples += example_flow(manifest, math.prod(shape))
    examples += [torch.zeros(one.shape_at(sizes)) for one in others[len(examples) - 1 :]]
    free = {axis: torch.export.Dim(axis, min=1) for axis in main.axes}
    with _quiet(), torch.inference_mode():
        program = torch.onnx.export(
            graph_network(snippets, manifest).eval(),
            tuple(examples),
            dynamo=True,
            opset_version=OPSET,
            input_names=[one.name for one in tensors.inputs],
            output_names=list(tensors.output_names),
            dynamic_shapes=tuple(
                {index: free[axis] for index, axis in enumerate(one.axes)} for one in tensors.inputs
            ),
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def save_graph(document: onnx.ModelProto, path: Path, *, wanted: Path | None = None) -> None:
    """Write the document: never half a file. `wanted` names it in the `OutputError`."""
    content = document.SerializeToString(deterministic=True)
    write_whole_file(path, content, what="the engine", wanted=wanted)


def _check_dynamic(document: onnx.ModelProto, tensors: GraphTensors) -> None:
    """Dimensions get specialised silently: those of snippets must have stayed symbolic."""
    wanted = {one.name: one.axes for one in (*tensors.inputs, *tensors.outputs)}
    for value in [*document.graph.input, *document.graph.output]:
        axes = wanted[value.name]
        found = tuple(size.dim_param for size in value.type.tensor_type.shape.dim)
        if found[: len(axes)] != axes:
            raise EngineError(
                f"the export fixed the number of snippets or videos of '{value.name}'."
            )


def _fix(document: onnx.ModelProto, axis: str, size: int) -> None:
    """Give a free dimension of inputs and outputs a size."""
    for value in [*document.graph.input, *document.graph.output]:
        for found in value.type.tensor_type.shape.dim:
            if found.dim_param == axis:
                found.dim_value = size


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
