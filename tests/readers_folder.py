"""What the reader of a page has: small files under the names that README and docs/ use."""

from __future__ import annotations

import importlib
import json
import shlex
import shutil
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from places import ROOT
from planted import write_video
from toy import CLASSES, feature_model, short_training

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import I3dConfig
from wsgn.checkpoint import Calibration, Checkpoint, save_checkpoint
from wsgn.features.file import write_feature_file
from wsgn.manifest import DetectionRule, Prior, Sampling
from wsgn.model import WeakDetector
from wsgn.weights.i3d_layouts import PYTORCH_I3D, published_names

Main = Callable[[Sequence[str]], int]

# Options of `wsgn-synthesize videos` that make it short.
FEW_VIDEOS = "--train 2 --test 1 --workers 1 --frame-rate 5 --width 96 --height 72"
_VIDEOS = {"a": "train", "b": "train", "c": "test"}
_THUMOS = {"v1": "validation", "v2": "validation", "t1": "test", "t2": "test", "t3": "test"}


def scripts() -> dict[str, str]:
    """The package's commands, and `module:function` of each."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, str] = project["scripts"]
    return found


def main_of(program: str) -> Main:
    """The function behind a command of the package, `python export/FILE.py`, `python -m MODULE`."""
    module, name = program.rpartition(" ")[2], "main"
    if program in scripts():
        module, _, name = scripts()[program].partition(":")
    elif module.endswith(".py"):
        module = f"wsgn.{module.removesuffix('.py').replace('/', '.')}"
    elif (ROOT / module.replace(".", "/")).is_dir():
        module = f"{module}.__main__"
    main: Main = getattr(importlib.import_module(module), name)
    return main


def _run(program: str, *words: str | Path) -> None:
    code = main_of(program)([str(word) for word in words])
    assert code == 0, f"{program} ended with {code}"


def _video(path: Path) -> None:
    write_video(path)


def _videos(path: Path) -> None:
    path.mkdir()
    for name in _VIDEOS:
        write_video(path / f"{name}.mp4", (("black", 1.0), ("red", 1.0)))


def _synthetic(path: Path) -> None:
    _run("wsgn-synthesize", "videos", path, *shlex.split(FEW_VIDEOS))


def _annotations(path: Path) -> None:
    _write_annotations(path, _VIDEOS, seconds=2.0)


def _thumos(path: Path) -> None:
    _write_annotations(path, _THUMOS, seconds=30.0)


def _write_annotations(path: Path, subsets: dict[str, str], seconds: float) -> None:
    database = {
        name: {
            "subset": subset,
            "duration": seconds,
            "annotations": [{"label": CLASSES[place % 2], "segment": [0.4, seconds - 0.3]}],
        }
        for place, (name, subset) in enumerate(subsets.items())
    }
    path.write_text(json.dumps({"database": database}))


def _wtalc_annotations(path: Path) -> None:
    path.mkdir()
    count = len(_VIDEOS)
    columns = {
        "videoname": [*_VIDEOS],
        "classlist": CLASSES[:2],
        "subset": ["validation"] * (count - 1) + ["test"],
        "duration": [2.0] * count,
    }
    for name, values in columns.items():
        np.save(path / f"{name}.npy", np.array(values))
    labels = [[CLASSES[place % 2]] for place in range(count)]
    lists = {"labels": labels, "labels_all": labels, "segments": [[[0.5, 1.5]]] * count}
    for name, rows in lists.items():
        holder = np.empty(count, dtype=object)
        holder[:] = rows
        np.save(path / f"{name}.npy", holder, allow_pickle=True)


def _array_features(path: Path) -> None:
    path.mkdir()
    random = np.random.default_rng(0)
    for name in _VIDEOS:
        np.save(path / f"{name}.npy", random.normal(size=(3, 16)).astype(np.float32))


def _one_array(path: Path) -> None:
    np.save(path, np.random.default_rng(0).normal(size=(9, 16)))


def _features(path: Path) -> None:
    path.mkdir()
    random = np.random.default_rng(0)
    sampling = Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=16)
    # Those of one test video are missing, as those of THUMOS14 are.
    for name in [*_THUMOS][:-1]:
        values = random.normal(size=(47, 8)).astype(np.float32)
        write_feature_file(path / f"{name}.safetensors", values, sampling, source="random")


def _published_i3d(path: Path) -> None:
    torch.manual_seed(0)
    state = build_backbone(I3dConfig(num_logits=400), 16).state_dict()
    names = published_names(PYTORCH_I3D)
    torch.save({names[own]: value for own, value in state.items()}, path)


def _converted_i3d(path: Path) -> None:
    published = path.with_suffix(".pt")
    _published_i3d(published)
    _run("wsgn-weights", "convert", published, "-o", path)


def _model(path: Path) -> None:
    torch.manual_seed(0)
    zeros, ones = (0.0,) * len(CLASSES), (1.0,) * len(CLASSES)
    config = feature_model()
    prior = Prior(count=8.0, mean=zeros, variance=ones, log_mean_exponential=zeros, maximum=zeros)
    rule = DetectionRule(open_thresholds=zeros, close_thresholds=zeros)
    checkpoint = Checkpoint(
        model=config,
        train=short_training(),
        step=1,
        weights=WeakDetector(config).state_dict(),
        optimizer={},
        calibration=Calibration(prior=prior, detection=rule),
    )
    save_checkpoint(path, checkpoint)


def _engine(path: Path) -> None:
    shutil.copyfile(ROOT / "runtime" / "demo" / "demo.onnx", path)


def _plan(path: Path) -> None:
    _run("python export/to_tensorrt.py", path.with_suffix(".onnx"), "-o", path)


def _detections(path: Path) -> None:
    path.parent.mkdir(parents=True)
    found = [{"label": CLASSES[0], "segment": [1.0, 3.0], "score": 0.5}]
    path.write_text(json.dumps({"results": {"synthetic_test_0000": found}}))


# By the name that the pages use; each writes the file or folder at a path with that name.
MAKERS: dict[str, Callable[[Path], None]] = {
    "I3D-features": _array_features,
    "Thumos14reduced-Annotations": _wtalc_annotations,
    "annotations.json": _annotations,
    "features": _features,
    "i3d.safetensors": _converted_i3d,
    "model.safetensors": _model,
    "rgb_imagenet.pt": _published_i3d,
    "runs/first/detections.json": _detections,
    "synthetic": _synthetic,
    "thumos14.json": _thumos,
    "video.mp4": _video,
    "video.npy": _one_array,
    "my.onnx": _engine,
    "videos": _videos,
    "wsgn.onnx": _engine,
    "wsgn.plan": _plan,
}
