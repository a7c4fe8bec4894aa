"""Golden vectors: what an engine takes and gives, and what follows from it, for hosts of others.

They go through this runtime as any source does; what the engine is asked and answers is kept.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from wsgn import __version__
from wsgn.engines.engine import Engine, EngineInputs, EngineOutputs, ReadyOutputs
from wsgn.engines.tensors import graph_tensors
from wsgn.errors import InputError, OutputError
from wsgn.features.file import FeatureInfo
from wsgn.localization.segments import Segment
from wsgn.manifest import Manifest
from wsgn.support.arrays import AnyArray, Float32Array, UInt8Array
from wsgn.support.files import new_folder, write_whole_file
from wsgn.support.terminal import json_text
from wsgn.video.frames_in_memory import FramesInMemory

from .features import FeatureDetection, FeatureVideo
from .pipeline import Detection, DetectOptions
from .source_run import SourceRun
from .writers import ResultCollector

FORMAT = "wsgn.golden/1"
DOCUMENT = "golden.json"
# How far a host may be: logits and scores relative to the largest value or 1, times in seconds.
TOLERANCES = {"outputs": 1e-4, "scores": 1e-4, "seconds": 1e-3}
_SEED = 20
# Made pictures: so many pixels a side of noise, which is drawn larger.
_COARSE = 6


@dataclass(frozen=True, kw_only=True)
class GoldenVectors:
    """What a run saw, (N, ...) each in the order of the snippets."""

    engine: Engine
    # By the names of the graph's inputs.
    inputs: Mapping[str, AnyArray]
    selection_logits: Float32Array
    class_probabilities: Float32Array
    # (N, C) of the whole source, before smoothing.
    frame_scores: AnyArray
    start_seconds: AnyArray
    epoch: AnyArray
    segments: tuple[Segment, ...]

    def arrays(self) -> dict[str, AnyArray]:
        """Every array by the name of its file."""
        return {
            **self.inputs,
            "selection_logits": self.selection_logits,
            "class_probabilities": self.class_probabilities,
            "frame_scores": self.frame_scores,
            "start_seconds": self.start_seconds,
            "epoch": self.epoch,
        }


@dataclass(kw_only=True)
class _Recorder:
    """An engine that keeps what it was asked and what it answered."""

    engine: Engine
    asked: list[Mapping[str, AnyArray]] = field(default_factory=list)
    answered: list[EngineOutputs] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name, self.sha256 = self.engine.name, self.engine.sha256
        self.manifest, self.device = self.engine.manifest, self.engine.device
        self._first = graph_tensors(self.manifest).inputs[0].name

    def infer(self, inputs: EngineInputs) -> EngineOutputs:
        """As the engine."""
        named = inputs if isinstance(inputs, Mapping) else {self._first: inputs}
        self.asked.append({name: values.copy() for name, values in named.items()})
        self.answered.append(self.engine.infer(inputs))
        return self.answered[-1]

    def submit(self, inputs: EngineInputs) -> ReadyOutputs:
        """As `infer`."""
        return ReadyOutputs(outputs=self.infer(inputs))

    def close(self) -> None:
        """Nothing: whoever opened the engine closes it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


def golden_vectors(
    engine: Engine, source: Path | FeatureVideo | None, seconds: float
) -> GoldenVectors:
    """The vectors of the first seconds of a source; None makes one up, the same each time.

    Raises `InputError` for a source that cannot be read or is too short for a snippet, and what
    engines raise.
    """
    recorder, options = _Recorder(engine=engine), DetectOptions(end_seconds=seconds)
    run = _run(recorder, source, options, seconds)
    collector = ResultCollector("golden")
    for event in run.events():
        collector.push(event)
    scores, (starts, epoch) = run.frame_scores(), run.snippet_times()
    answered = recorder.answered
    if (
        scores is None
        or not answered
        or sum(len(o.selection_logits) for o in answered) != len(scores)
    ):
        raise InputError(
            f"the first {seconds:g} s give no snippet that the engine has numbers for: give more "
            "--seconds, or another --source."
        )
    return GoldenVectors(
        engine=engine,
        inputs={
            name: np.concatenate([one[name] for one in recorder.asked])
            for name in recorder.asked[0]
        },
        selection_logits=np.concatenate([one.selection_logits for one in answered]),
        class_probabilities=np.concatenate([one.class_probabilities for one in answered]),
        frame_scores=scores,
        start_seconds=starts,
        epoch=epoch,
        segments=collector.result().segments,
    )


def write_golden(folder: Path, vectors: GoldenVectors) -> None:
    """A .npy for each array, and what they are in `golden.json`. Raises `OutputError`."""
    arrays = vectors.arrays()
    if (folder / DOCUMENT).exists():
        raise OutputError(f"'{folder}' holds golden vectors already: choose another --output.")
    with new_folder(folder):
        for name, values in arrays.items():
            contents = io.BytesIO()
            np.lib.format.write_array(contents, np.ascontiguousarray(values), version=(1, 0))
            write_whole_file(folder / f"{name}.npy", contents.getvalue(), what="the vectors")
        text = json_text(_document(vectors), indent=1) + "\n"
        write_whole_file(folder / DOCUMENT, text.encode(), what="the vectors")


def _document(vectors: GoldenVectors) -> dict[str, Any]:
    engine = vectors.engine
    return {
        "format": FORMAT,
        "wsgn": __version__,
        "engine": engine.name,
        "engine_sha256": engine.sha256,
        "device": engine.device,
        "inputs": list(vectors.inputs),
        "arrays": {
            name: {"file": f"{name}.npy", "dtype": values.dtype.name, "shape": list(values.shape)}
            for name, values in vectors.arrays().items()
        },
        "tolerances": TOLERANCES,
        "segments": [vars(segment) for segment in vectors.segments],
        "manifest": json.loads(engine.manifest.to_json()),
    }


def _run(
    engine: Engine, source: Path | FeatureVideo | None, options: DetectOptions, seconds: float
) -> SourceRun:
    manifest = engine.manifest
    if manifest.features is not None:
        assert not isinstance(source, Path)
        made = FeatureVideo(reader=_MadeFeatures(manifest, seconds), name="made")
        return FeatureDetection(source or made, engine, options)
    assert not isinstance(source, FeatureVideo)
    return Detection(source or FramesInMemory(_made_frames(manifest, seconds)), engine, options)


def _made_frames(manifest: Manifest, seconds: float) -> Iterator[tuple[float, UInt8Array]]:
    """Coarse noise that drifts from one picture to another, with a sudden change in the middle."""
    assert manifest.frames is not None
    size, rate = manifest.frames, manifest.sampling.frame_rate
    random, count = np.random.default_rng(_SEED), max(1, round(seconds * rate))
    pictures = random.integers(0, 256, (4, _COARSE, _COARSE, 3))
    rows = np.arange(size.height) * _COARSE // size.height
    columns = np.arange(size.width) * _COARSE // size.width
    for index in range(count):
        half, share = divmod(2 * index / count, 1)
        first, last = pictures[2 * int(half)], pictures[2 * int(half) + 1]
        mixed = (first + share * (last - first)).astype(np.uint8)
        yield index / rate, mixed[rows][:, columns]


@dataclass(frozen=True)
class _MadeFeatures:
    """Features of a video that was never filmed: noise, larger in the middle third."""

    manifest: Manifest
    seconds: float
    layout: str = "made"
    names: tuple[str, ...] = ("made",)

    def info(self, name: str) -> FeatureInfo:
        """As many snippets as fit."""
        assert self.manifest.features is not None
        sampling = self.manifest.sampling
        frames = round(self.seconds * sampling.frame_rate) - sampling.snippet_length
        return FeatureInfo(
            num_snippets=max(1, 1 + frames // sampling.snippet_stride),
            feature_size=self.manifest.features.size,
            sampling=sampling,
        )

    def read(self, name: str) -> Float32Array:
        """The features (T, D)."""
        info = self.info(name)
        shape = (info.num_snippets, info.feature_size)
        values = np.random.default_rng(_SEED).normal(size=shape)
        values[len(values) // 3 : 2 * len(values) // 3] *= 2
        return values.astype(np.float32)

    def read_stored(self, name: str) -> AnyArray:
        """The same."""
        return self.read(name)
