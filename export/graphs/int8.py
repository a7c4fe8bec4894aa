"""Convolutions and layers in INT8: ONNX Runtime's static quantisation, said by explicit Q/DQ nodes.

Symmetric and signed on both sides, per channel of the weights: what TensorRT reads from such nodes
too. The layers that give the outputs stay float32, so does what lies between the quantised ones.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from wsgn.data.annotations import Annotations, VideoAnnotation
from wsgn.data.frames import FrameDataset
from wsgn.data.layouts import read_annotations
from wsgn.data.samples import VideoSource
from wsgn.engines.open import open_engine
from wsgn.engines.tensors import graph_tensors
from wsgn.errors import EngineError, InputError, UsageError
from wsgn.export.graphs.document import save_graph, seal
from wsgn.features.dataset import FeatureDataset
from wsgn.features.layouts import open_features
from wsgn.features.options import FeatureOptions, VideoOptions
from wsgn.localization.scoring import frame_scores, video_scores
from wsgn.manifest import METADATA_KEY, Manifest
from wsgn.metrics.annotations import truth_of
from wsgn.prediction.evaluate import has_segments, score_segments
from wsgn.prediction.int8_options import Int8Options, Int8Report
from wsgn.prediction.options import USUAL_TIOU
from wsgn.prediction.predict import VideoPrediction, predicted_segments
from wsgn.support.arrays import AnyArray
from wsgn.support.packages import load_package
from wsgn.video.files import video_files

_QUANTISED = ("Conv", "Gemm", "MatMul")
# Snippets that ranges are taken of, videos that they come from, and snippets of one call.
_NUM_SNIPPETS, _MOST_VIDEOS, _BATCH = 200, 50, 8
# Points of mAP that it may cost.
MOST_LOST = 1.0


def quantise(path: Path, options: Int8Options) -> Int8Report:
    """Put the engine at a path in INT8, where that costs no more than a point of mAP.

    Raises:
        EngineError: it costs more; it says how much.
        InputError: videos cannot be read, or there are none to calibrate on.
        UsageError: the engine, or the annotations, are none for it.
    """
    document = onnx.load(path)
    manifest = Manifest.from_json(
        next(one.value for one in document.metadata_props if one.key == METADATA_KEY)
    )
    if manifest.flow is not None or manifest.graph != "snippet":
        raise UsageError("--int8 is for the snippet graph, without optical flow.")
    judges = _judges(manifest, options)
    before = average_map(path, judges)
    rows = calibration_rows(manifest, options, {video.name for video in judges.videos})
    result = path.with_name(f"{path.stem}.int8.onnx")
    quantised = quantised_document(document, manifest, rows, path.parent)
    save_graph(quantised, result, wanted=path)
    after = average_map(result, judges)
    if before - after >= MOST_LOST:
        raise EngineError(
            f"in INT8 the average mAP on {len(judges.videos)} videos falls from {before:.1f} to "
            f"{after:.1f}, by {MOST_LOST:g} point or more: calibrate on more of what it is to see, "
            "or take --half."
        )
    result.replace(path)
    return Int8Report(
        map_before=before,
        map_after=after,
        num_videos=len(judges.videos),
        num_snippets=len(rows),
    )


def quantised_document(
    document: onnx.ModelProto, manifest: Manifest, rows: AnyArray, folder: Path
) -> onnx.ModelProto:
    """The engine in INT8, with ranges of these snippets (K, ...); `folder` is for what is between.

    Its manifest says so. Raises `EngineError` where nothing of it can be quantised.
    """
    load_package("onnxruntime")
    quantization = load_package("onnxruntime.quantization")
    in_int8 = quantization.QuantType.QInt8
    name = graph_tensors(manifest).inputs[0].name
    # Names are put into it.
    given = onnx.ModelProto()
    given.CopyFrom(document)
    written = folder / "quantised.onnx"
    with _quiet():
        quantization.quantize_static(
            given,
            written,
            _Reader(name, rows),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTISED),
            per_channel=True,
            activation_type=in_int8,
            weight_type=in_int8,
            nodes_to_exclude=_last_layers(given, len(manifest.classes)),
            # TensorRT takes no bias in INT32.
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
            },
        )
    found = onnx.load(written)
    written.unlink()
    if not any(node.op_type == "QuantizeLinear" for node in found.graph.node):
        raise EngineError("nothing of this engine can be put in INT8: leave --int8 out.")
    words = {"int8": f"Q/DQ by ONNX Runtime, ranges of {len(rows)} snippets"}
    seal(found, replace(manifest, provenance=manifest.provenance | words, checksum=None))
    return found


def calibration_rows(manifest: Manifest, options: Int8Options, without: set[str]) -> AnyArray:
    """Snippets (K, ...) of calibration videos, from all over them, but of those to be judged."""
    kept = {Path(name).stem for name in without}
    names = [name for name in _names(manifest, options) if Path(name).stem not in kept]
    if not names:
        raise InputError(
            f"{options.calibration} holds nothing to calibrate on but the videos that judge what "
            "it costs: name others, such as those of the training."
        )
    names = [names[int(k)] for k in np.linspace(0, len(names) - 1, min(len(names), _MOST_VIDEOS))]
    videos = [_unlabelled(name) for name in dict.fromkeys(names)]
    source = _source(manifest, options.calibration, videos, options)
    share = -(-_NUM_SNIPPETS // len(videos))
    parts = []
    for index in range(len(videos)):
        inputs = source.load(index).inputs.numpy()
        parts.append(inputs[np.unique(np.linspace(0, len(inputs) - 1, share).astype(int))])
    return np.concatenate(parts)


def average_map(path: Path, source: VideoSource) -> float:
    """Average mAP at tIoU 0.1 to 0.7 of an engine's segments, in percent."""
    segments = {}
    with open_engine(path) as engine:
        manifest = engine.manifest
        rule = manifest.selection
        for index, video in enumerate(source.videos):
            sample = source.load(index)
            inputs = sample.inputs.numpy()
            parts = [
                engine.infer(inputs[first : first + _BATCH])
                for first in range(0, len(inputs), _BATCH)
            ]
            logits = np.concatenate([part.selection_logits for part in parts]).astype(np.float64)
            p = np.concatenate([part.class_probabilities for part in parts]).astype(np.float64)
            scores = frame_scores(logits, p, rule)
            has_own = rule.video_score.pooling != "frame_scores"
            prediction = VideoPrediction(
                name=video.name,
                times=sample.times,
                selection_logits=logits,
                class_probabilities=p,
                scores=scores,
                video_scores=video_scores(logits, p, rule, scores) if has_own else None,
                rule=rule,
            )
            segments[video.name] = predicted_segments(
                prediction, manifest.classes, manifest.proposals or manifest.detection
            )
    truth = truth_of(source.videos, manifest.classes)
    return score_segments(segments, truth, tiou=USUAL_TIOU).average_map_percent


def _judges(manifest: Manifest, options: Int8Options) -> VideoSource:
    """The annotated videos, which must show when actions happen."""
    annotations: Annotations = read_annotations(options.annotations)
    if annotations.classes != manifest.classes:
        raise UsageError("the classes of the annotations, or their order, are not the model's.")
    videos = annotations.videos
    if options.subset is not None:
        videos = annotations.subset(options.subset)
    if not has_segments(videos):
        raise UsageError(
            "--int8 is judged by annotated times of actions, and these videos have none: name "
            "another --subset or other --annotations."
        )
    return _source(manifest, _place(options), videos, options)


def _place(options: Int8Options) -> Path | str:
    data = options.data
    return data.folder if isinstance(data, VideoOptions) else data.path


def _source(
    manifest: Manifest, place: Path | str, videos: Sequence[VideoAnnotation], options: Int8Options
) -> VideoSource:
    """Videos as the engine takes them: pixels, or features."""
    data = options.data
    if manifest.frames is not None:
        if not isinstance(data, VideoOptions):
            raise UsageError("the engine takes frames: give --videos, not --features.")
        return FrameDataset(
            Path(place),
            videos,
            manifest.classes,
            manifest.sampling,
            manifest.frames,
            progress=not options.quiet,
            memory_bytes=data.memory_bytes,
        )
    if not isinstance(data, FeatureOptions):
        raise UsageError("the engine takes features: give --features, not --videos.")
    assert manifest.features is not None
    reader = open_features(
        place, layout=data.layout, sampling=data.time_base(videos), streams=data.streams
    )
    return FeatureDataset(reader, videos, manifest.classes, feature_size=manifest.features.size)


def _names(manifest: Manifest, options: Int8Options) -> list[str]:
    if manifest.frames is None:
        assert isinstance(options.data, FeatureOptions)
        data = options.data
        reader = open_features(
            options.calibration, layout=data.layout, sampling=data.time_base(()),
            streams=data.streams,
        )  # fmt: skip
        return list(reader.names)
    if not options.calibration.is_dir():
        raise InputError(f"{options.calibration} is no folder of videos.")
    found = video_files(options.calibration).videos
    return [path.relative_to(options.calibration).as_posix() for path in found]


def _unlabelled(name: str) -> VideoAnnotation:
    return VideoAnnotation(
        name=name, subset="calibration", duration_seconds=None, labels=(), segments=()
    )


def _last_layers(document: onnx.ModelProto, num_classes: int) -> list[str]:
    """Names of the layers that give numbers for classes; layers without names get one."""
    shapes = {one.name: tuple(one.dims) for one in document.graph.initializer}
    found = []
    for index, node in enumerate(document.graph.node):
        if not node.name:
            node.name = f"{node.op_type}_{index}"
        sizes = {size for name in node.input for size in shapes.get(name, ())}
        # One attention for all, a class each, or a background behind them.
        if node.op_type in ("Gemm", "MatMul") and sizes & {1, num_classes, num_classes + 1}:
            found.append(node.name)
    return found


class _Reader:
    """What ONNX Runtime's calibration asks for its inputs."""

    def __init__(self, name: str, rows: AnyArray) -> None:
        self._name = name
        self._batches: Iterator[AnyArray] = (
            rows[first : first + _BATCH] for first in range(0, len(rows), _BATCH)
        )

    def get_next(self) -> dict[str, AnyArray] | None:
        """The next batch; None behind the last."""
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}

    def __iter__(self) -> Iterator[Any]:
        return iter(self.get_next, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Its advice to prepare graphs is for others than these, whose shapes are known."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
