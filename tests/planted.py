"""An engine and videos with known answers: the colour of the frame is the action.

A snippet's score of a colour is the mean of that channel over its frames, so that it rises in a
straight line while the colour comes into view, and crosses the half exactly where it begins.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnx
from onnx import TensorProto, helper

from wsgn.manifest import (
    METADATA_KEY,
    DetectionRule,
    FrameInput,
    Manifest,
    Prior,
    Sampling,
    SelectionRule,
)

CLASSES = ("red", "green", "blue")
SIZE = 16
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "black": (0, 0, 0)}

# (label, seconds) one after the other, and the segments that are to be found in it.
SCENES = (("black", 2.0), ("red", 3.0), ("black", 3.0), ("blue", 2.0), ("black", 2.0))
SEGMENTS = (("red", 2.0, 5.0), ("blue", 8.0, 10.0))


def planted_manifest(**changes: Any) -> Manifest:
    """The manifest of the planted engine: the naive model, whose scores are the probabilities."""
    zeros = (0.0,) * len(CLASSES)
    manifest = Manifest(
        format_version=1,
        classes=CLASSES,
        sampling=Sampling(frame_rate=10.0, snippet_length=8, snippet_stride=2),
        selection=SelectionRule(components=(), softmax_scale="max_one", class_activation="sigmoid"),
        prior=Prior(
            count=0.0, mean=zeros, variance=zeros, log_mean_exponential=zeros, maximum=zeros
        ),
        detection=DetectionRule(
            open_thresholds=(0.5,) * 3,
            close_thresholds=(0.5,) * 3,
            video_score_weight=0.0,
        ),
        frames=FrameInput(height=SIZE, width=SIZE),
    )
    return dataclasses.replace(manifest, **changes)


def planted_model(manifest: Manifest, *, nan_above: float | None = None) -> onnx.ModelProto:
    """The graph: channel means as probabilities; NaN where the green one is above a limit."""
    length = manifest.sampling.snippet_length
    nodes = [
        helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["levels"], keepdims=0),
        helper.make_node("Div", ["levels", "white"], ["shares"]),
        helper.make_node("Identity", ["shares"], ["class_probabilities"]),
    ]
    constants = {
        "axes": np.array([1, 2, 3], dtype=np.int64),
        "white": np.array(255, dtype=np.float32),
        "limit": np.array([2.0, 2.0 if nan_above is None else nan_above, 2.0], dtype=np.float32),
        "nan": np.array(np.nan, dtype=np.float32),
    }
    nodes += [
        helper.make_node("Greater", ["shares", "limit"], ["poisoned"]),
        helper.make_node("Where", ["poisoned", "nan", "shares"], ["selection_logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "planted",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", length, SIZE, SIZE, 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", len(CLASSES)])
            for name in ("selection_logits", "class_probabilities")
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: manifest.to_json()})
    return model


def write_engine(path: Path, manifest: Manifest | None = None, **options: Any) -> Path:
    """Save the planted engine."""
    onnx.save(planted_model(manifest or planted_manifest(), **options), path)
    return path


def write_video(
    path: Path,
    scenes: tuple[tuple[str, float], ...] = SCENES,
    *,
    rate: int = 20,
    keyframe_interval: int = 20,
    options: dict[str, str] | None = None,
) -> Path:
    """An H.264 file of plain colours; `options` are the container's."""
    coding = {"crf": "1", "g": str(keyframe_interval)}
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=rate, options=coding)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv444p"
        for label, seconds in scenes:
            image = np.broadcast_to(np.array(COLOURS[label], dtype=np.uint8), (64, 64, 3))
            for _ in range(round(seconds * rate)):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """A file with sound and no frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        silence = np.zeros((1, 1024), dtype=np.float32)
        for _ in range(16):
            frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            frame.sample_rate = 16000
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sources(folder: Path, names: Sequence[str]) -> Path:
    """Short videos of these names in a folder, and `none.mp4`, which is none."""
    for number, name in enumerate(names):
        colours = ("black", "green", "black") if number % 2 else ("green", "black")
        write_video(folder / f"{name}.mp4", tuple((one, 1.0) for one in colours))
    (folder / "none.mp4").write_bytes(b"no video")
    return folder
