"""The commands that `benchmarks.kills` kills: small inputs, their words, and what they write."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.results import ROOT

_DEMO_ENGINE = ROOT / "runtime" / "demo" / "demo.onnx"
_FORMATS = "json,jsonl,csv,srt,vtt"
NUM_STEPS, CHECKPOINT_EVERY = 24, 3
_NUM_VIDEOS, _NUM_ARRAYS = 3, 24


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command that is killed, and run again in the same folder."""

    name: str
    # Where its `main` is.
    module: str
    # Make its inputs in a folder.
    make: Callable[[Path], None]
    # Its words for these inputs and this output folder, in which an earlier run may have been
    # killed.
    words: Callable[[Path, Path], list[str]]
    # A log that grows line by line: the only file that is not written whole.
    log: str | None = None
    # A file of an earlier version, by its name: it is there, or the new one is.
    old: str | None = None

    def main(self, words: Sequence[str]) -> int:
        """Run it in this process."""
        code: int = importlib.import_module(self.module).main(words)
        return code


def _make_videos(folder: Path) -> None:
    from wsgn.synthetic.cli import main

    words = (
        f"videos {folder / 'made'} --train {_NUM_VIDEOS} --test 1 --workers 1 --frame-rate 5 "
        "--width 96 --height 72"
    )
    if main(words.split()) != 0:
        raise RuntimeError("the videos cannot be made")


def _make_dataset(folder: Path) -> None:
    from wsgn.features.file import write_feature_file
    from wsgn.manifest import Sampling

    random = np.random.default_rng(0)
    sampling, database = Sampling(frame_rate=10.0, snippet_length=8, snippet_stride=4), {}
    for number in range(8):
        values = random.normal(size=(30 + number, 16)).astype(np.float32)
        # Something to learn: of a model that tells nothing wsgn-train says so, by its exit code.
        values[:, number % 2] += 3
        write_feature_file(folder / "features" / f"video_{number}.safetensors", values, sampling)
        database[f"video_{number}"] = {"subset": "train", "labels": [("wave", "jump")[number % 2]]}
    (folder / "annotations.json").write_text(json.dumps({"database": database}))


def _make_arrays(folder: Path) -> None:
    random = np.random.default_rng(0)
    (folder / "arrays").mkdir()
    for number in range(_NUM_ARRAYS):
        values = random.normal(size=(20 + number, 64)).astype(np.float32)
        np.save(folder / "arrays" / f"video_{number}.npy", values)


def _make_model(folder: Path) -> None:
    from benchmarks.random_engine import HEADS, RandomEngine

    RandomEngine(folder=folder, backbone=HEADS).write_model()


def _run_words(inputs: Path, output: Path) -> list[str]:
    return [
        str(inputs / "made" / "videos"), "--engine", str(_DEMO_ENGINE), "-o", str(output),
        "-f", _FORMATS, "--save-scores", "--resume", "-q",
    ]  # fmt: skip


def _train_words(inputs: Path, output: Path) -> list[str]:
    # Before the first checkpoint there is nothing to go on from.
    again = "--resume" if (output / "last.safetensors").exists() else "--overwrite"
    return [
        str(inputs / "annotations.json"), "--features", str(inputs / "features"), "-o", str(output),
        "--steps", str(NUM_STEPS), "--checkpoint-every", str(CHECKPOINT_EVERY),
        "--batch-videos", "2", "--thinning", "1", "--seed", "1", "--threads", "1", "-q", again,
    ]  # fmt: skip


def _features_words(inputs: Path, output: Path) -> list[str]:
    return [
        str(inputs / "made" / "videos"), "-o", str(output), "--backbone", "compact",
        "--random-weights", "--frame-rate", "5", "--snippet-length", "8", "--snippet-stride", "8",
        "--short-side", "64", "--crop-size", "64", "--threads", "1", "-q",
    ]  # fmt: skip


def _convert_words(inputs: Path, output: Path) -> list[str]:
    return [
        str(inputs / "arrays"), "-o", str(output), "--frame-rate", "25", "--snippet-length", "16",
        "--snippet-stride", "16", "-q",
    ]  # fmt: skip


def _onnx_words(inputs: Path, output: Path) -> list[str]:
    model, engine = inputs / "model.safetensors", output / "engine.onnx"
    return [str(model), "-o", str(engine), "--overwrite"]


COMMANDS = {
    command.name: command
    for command in (
        Command(
            name="run", module="wsgn.runtime.cli.main", make=_make_videos, words=_run_words,
        ),
        Command(
            name="train", module="wsgn.training.cli", make=_make_dataset, words=_train_words,
            log="losses.csv",
        ),
        Command(
            name="features", module="wsgn.extraction.cli", make=_make_videos,
            words=_features_words,
        ),
        Command(
            name="convert", module="wsgn.features.cli", make=_make_arrays, words=_convert_words,
        ),
        Command(
            name="to_onnx", module="wsgn.export.to_onnx", make=_make_model, words=_onnx_words,
            old="engine.onnx",
        ),
    )
}  # fmt: skip
