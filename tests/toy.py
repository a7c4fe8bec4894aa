"""A tiny world for training tests: features in which each class has its own direction."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from wsgn.config import ModelConfig, TrainConfig
from wsgn.data.annotations import VideoAnnotation
from wsgn.data.charades import CLASSES as CHARADES_CLASSES
from wsgn.data.samples import VideoSample
from wsgn.features.file import write_feature_file
from wsgn.localization.segments import SnippetTimes
from wsgn.manifest import FeatureInput, FrameInput, Sampling
from wsgn.methods.config import WsgnConfig
from wsgn.training import cli as train

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


def write_toy_model(folder: Path, last: str) -> Path:
    """`write_toy_dataset`, with its last test video called `last`, and `run/` of 20 steps on it."""
    write_toy_dataset(folder)
    options = ("--steps", "20", "--learning-rate", "0.02", "--thinning", "1", "-q")
    assert train.main(train_words(folder, folder / "run", *options, "--preset", "wsgn+")) == 0
    path, features = folder / "annotations.json", folder / "features"
    path.write_text(path.read_text().replace('"toy_35"', f'"{last}"'))
    (features / "toy_35.safetensors").rename(features / f"{last}.safetensors")
    return folder


def write_toy_charades(folder: Path) -> Path:
    """Four videos to train on and two to test, of Charades' classes, and `run/` of 60 steps.

    Features and annotations lie as in `write_toy_dataset`; `train.csv` and `test.csv` are those of
    Charades. Snippets are a third of a second long; 10 to 20 are of the class.
    """
    random = np.random.default_rng(0)
    (folder / "features").mkdir()
    sampling = Sampling(frame_rate=24.0, snippet_length=8, snippet_stride=8)
    database, lines = {}, {name: ["id,actions,length"] for name in ("train", "test")}
    for index in range(6):
        name, label = f"V{index:04d}", CHARADES_CLASSES[index % 2]
        subset = "train" if index < 4 else "test"
        features = random.normal(size=(30, 8)).astype(np.float32)
        features[10:20, index % 2] += 5
        write_feature_file(folder / "features" / f"{name}.safetensors", features, sampling)
        segments = [{"label": label, "segment": [3.34, 6.66]}]
        database[name] = {"subset": subset, "duration": 10.0, "annotations": segments}
        lines[subset].append(f"{name},{label} 3.34 6.66,10.0")
    document = {"classes": list(CHARADES_CLASSES), "database": database}
    (folder / "annotations.json").write_text(json.dumps(document))
    for subset, rows in lines.items():
        (folder / f"{subset}.csv").write_text("\n".join(rows) + "\n")
    options = ("--steps", "60", "--learning-rate", "0.02", "--thinning", "1", "-q")
    options += ("--preset", "charades", "--batch-videos", "4", "--dropout", "0")
    assert train.main(train_words(folder, folder / "run", *options)) == 0
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
