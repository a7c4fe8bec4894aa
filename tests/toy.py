"""A tiny world for training tests: features in which each class has its own direction."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from wsgn.config import ModelConfig, TrainConfig
from wsgn.data.annotations import VideoAnnotation
from wsgn.data.samples import VideoSample
from wsgn.features.file import write_feature_file
from wsgn.localization.segments import SnippetTimes
from wsgn.manifest import FeatureInput, FrameInput, Sampling
from wsgn.methods.config import WsgnConfig

CLASSES = ("wave", "jump", "bow")
SAMPLING = Sampling(frame_rate=10.0, snippet_length=8, snippet_stride=4)
SIZE = 16


class ToySource:
    """Videos of 30 to 50 snippets; 8 in a row carry the direction of the video's one class."""

    def __init__(self, num_videos: int, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        directions = np.eye(SIZE, dtype=np.float32)[:3] * 3
        self.classes = CLASSES
        self._features: list[np.ndarray] = []
        videos = []
        for index in range(num_videos):
            label = index % 3
            length = int(random.integers(30, 50))
            features = random.normal(size=(length, SIZE)).astype(np.float32)
            start = int(random.integers(0, length - 8))
            features[start : start + 8] += directions[label]
            self._features.append(features)
            videos.append(
                VideoAnnotation(
                    name=f"toy_{index}",
                    subset="train",
                    duration_seconds=length * 0.4 + 0.4,
                    labels=(CLASSES[label],),
                    segments=((CLASSES[label], start * 0.4 + 0.2, start * 0.4 + 3.4),),
                )
            )
        self.videos = tuple(videos)

    def load(self, index: int) -> VideoSample:
        return self._sample(self._features[index], np.arange(len(self._features[index])))

    def num_snippets(self, index: int) -> int:
        return len(self._features[index])

    def load_for_training(
        self,
        index: int,
        random: np.random.Generator,
        *,
        thinning: int,
        start_range: int | None,
        augment: bool,
    ) -> VideoSample:
        features = self._features[index]
        start = int(random.integers(start_range or thinning))
        return self._sample(features, np.arange(start, len(features), thinning))

    def _sample(self, features: np.ndarray, rows: np.ndarray) -> VideoSample:
        starts = rows * 0.4
        return VideoSample(
            inputs=torch.from_numpy(features[rows]),
            times=SnippetTimes(
                start_seconds=starts,
                centre_seconds=starts + 0.4,
                end_seconds=starts + 0.8,
                epoch=np.zeros(len(rows), dtype=np.int64),
            ),
        )


def train_words(dataset: Path, output: Path, *options: str) -> list[str]:
    """The words of wsgn-train on the features of `write_toy_dataset`."""
    features = str(dataset / "features")
    return [str(dataset / "annotations.json"), "--features", features, "-o", str(output), *options]


def write_toy_dataset(folder: Path, num_training: int = 24, num_test: int = 12) -> Path:
    """`annotations.json`, and `features/` with two streams of 8 channels; returns `folder`."""
    (folder / "features").mkdir()
    source, database = ToySource(num_training + num_test), {}
    for index, video in enumerate(source.videos):
        write_feature_file(
            folder / "features" / f"{video.name}.safetensors",
            source.load(index).inputs.numpy(),
            SAMPLING,
            streams=("rgb", "flow"),
        )
        database[video.name] = {
            "subset": "train" if index < num_training else "test",
            "labels": list(video.labels),
            "annotations": [{"label": a, "segment": [b, c]} for a, b, c in video.segments],
        }
    document = {"classes": list(CLASSES), "database": database}
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def feature_model(**changes: object) -> ModelConfig:
    """A model on the toy features, weights per frame; fields of WsgnConfig go into its method."""
    names = {field.name for field in fields(WsgnConfig)}
    method = {name: changes.pop(name) for name in list(changes) if name in names}
    changes.setdefault("method", WsgnConfig(**{"weight_scale": "per_frame"} | method))  # type: ignore[arg-type]
    settings: dict[str, object] = {
        "classes": CLASSES,
        "sampling": SAMPLING,
        "features": FeatureInput(size=SIZE),
        "dropout": 0.2,
    }
    return ModelConfig(**(settings | changes))  # type: ignore[arg-type]


def frame_model() -> ModelConfig:
    """A model on small frames, weights per frame."""
    return ModelConfig(
        classes=CLASSES,
        sampling=SAMPLING,
        frames=FrameInput(height=16, width=24),
        method=WsgnConfig(weight_scale="per_frame"),
    )


def short_training(**changes: object) -> TrainConfig:
    """A few quick steps."""
    settings: dict[str, object] = {
        "num_steps": 6,
        "batch_videos": 4,
        "learning_rate": 1e-2,
        "warmup_steps": 1,
        "checkpoint_every": 2,
    }
    return TrainConfig(**(settings | changes))  # type: ignore[arg-type]
