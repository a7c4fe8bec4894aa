"""Every command of README.md, docs/ and kernels/README.md runs, or says why it cannot run here."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import documents
import numpy as np
import pytest
from documents import block_commands, inline_commands, is_template, options_of, read_page
from places import ROOT
from readers_folder import FEW_VIDEOS, MAKERS, main_of, scripts


@dataclass(frozen=True, kw_only=True)
class Run:
    """A command that is run as it is written, with words behind it that make it short."""

    add: str = ""
    # Words that are taken for others.
    instead: tuple[tuple[str, str], ...] = ()
    # What earlier commands of the page left and the reader is to do without.
    without: tuple[str, ...] = ()
    # A module of an extra, without which the command is left out.
    needs: str = ""


@dataclass(frozen=True, kw_only=True)
class NotHere:
    """Why a command cannot run in a test, and the test that comes nearest."""

    reason: str
    nearest: str = ""


TRAIN = Run(add="--steps 2 --batch-videos 2 --threads 1 --quiet")
SYNTHESIZE = Run(add=FEW_VIDEOS)
# Snippets of 64 x 64 pixels in place of 224 x 224.
SMALL_CROPS = "--short-side 64 --crop-size 64"
FLOW = NotHere(reason="two I3D take minutes to export", nearest="tests/export/test_joined_flow.py")
NO_CAMERA = NotHere(reason="needs a camera", nearest="tests/live/test_live_command.py")
NO_RECEIVER = NotHere(
    reason="needs a receiver", nearest="tests/runtime/notify/test_notify_command.py"
)
NO_CLUSTER = NotHere(reason="needs a Ray cluster", nearest="tests/runtime/cli/test_ray.py")
NO_STORE = NotHere(reason="needs a store", nearest="tests/runtime/cli/test_addresses.py")
FEATURES_IN_STORE = NotHere(
    reason="needs a bucket", nearest="tests/features/test_remote_features.py"
)
MANY_PROCESSES = NotHere(
    reason="needs GPUs and two machines", nearest="tests/training/test_many_nodes.py"
)
NO_GPU = NotHere(reason="needs a GPU", nearest="tests/engines/test_gpu_engines.py")

PREDICT_PACKED = (
    "wsgn-predict thumos14.json runs/packed/model.safetensors --features packed --skip-missing "
    "--protocol activitynet --parts parts"
)

# By the command as it stands in the pages, in the order in which it is met first.
COMMANDS: dict[str, Run | NotHere] = {
    # README.md
    "wsgn-run video.mp4 --engine wsgn.onnx": Run(),
    "wsgn-run videos/ --engine wsgn.onnx -o results -f json,srt": Run(),
    "wsgn-run video.mp4 --engine wsgn.onnx --scores causal --labels wave,jump": Run(),
    "wsgn-run video.mp4 --engine wsgn.plan": NO_GPU,
    "wsgn-run video.mp4 --engine wsgn.onnx --device openvino": Run(needs="openvino"),
    "wsgn-run manifest wsgn.onnx": Run(),
    "wsgn-run doctor": Run(),
    "wsgn-run rtsp://10.0.0.5/stream1 --engine wsgn.onnx": NO_CAMERA,
    "wsgn-run cameras.toml --engine wsgn.onnx -o events --state state": NO_CAMERA,
    "wsgn-synthesize videos synthetic --train 160 --test 40 --workers 2": SYNTHESIZE,
    "wsgn-train synthetic/annotations.json --videos synthetic/videos --preset videos --test test "
    "-o runs/first": TRAIN,
    "python export/to_onnx.py runs/first/model.safetensors -o wsgn.onnx": Run(
        without=("wsgn.onnx",)
    ),
    "wsgn-run synthetic/videos/synthetic_test_0000.mp4 --engine wsgn.onnx": Run(),
    "wsgn-features videos/ -o features --backbone i3d-rgb --weights i3d.safetensors": Run(
        add=f"{SMALL_CROPS} --threads 1 --quiet"
    ),
    "wsgn-convert I3D-features -o features --frame-rate 25 --snippet-length 16 "
    "--snippet-stride 16": Run(without=("features",), add="--quiet"),
    "wsgn-train annotations.json --features features --test test -o runs/second": TRAIN,
    "wsgn-predict annotations.json runs/second/model.safetensors --features features "
    "--protocol activitynet": Run(add="--quiet"),
    "python export/to_onnx.py runs/second/model.safetensors -o second.onnx": Run(),
    "wsgn-run features --engine second.onnx": Run(),
    "wsgn-run --help": Run(),
    # docs/api.md, whose examples tests/test_api.py runs
    "wsgn-synthesize videos synthetic": SYNTHESIZE,
    # docs/backbones.md
    "wsgn-weights list": Run(),
    "wsgn-weights check rgb_imagenet.pt": Run(add="--any-checksum"),
    "wsgn-weights convert rgb_imagenet.pt -o i3d.safetensors --as i3d-rgb": Run(
        add="--any-checksum"
    ),
    "wsgn-weights download torchvision/resnet34 -o weights": NotHere(
        reason="downloads", nearest="tests/weights/test_weights_download.py"
    ),
    # docs/clips.md
    "wsgn-run video.mp4 --engine wsgn.onnx -o results -f json": Run(),
    "wsgn-run clips results/video.json video.mp4 -o clips": Run(),
    "wsgn-run clips results/video.json video.mp4 -o quick --padding 1 --copy": Run(),
    "wsgn-run clips results/video.json video.mp4 -o shown --annotate --whole": Run(),
    "wsgn-run cameras.toml --engine wsgn.onnx -o events --clips clips": NO_CAMERA,
    "wsgn-run cameras.toml --engine wsgn.onnx --serve 8080": NO_CAMERA,
    "WSGN_TOKEN=$(openssl rand -hex 16) wsgn-run cameras.toml --engine wsgn.onnx "
    "--serve 0.0.0.0:8080": NO_CAMERA,
    # docs/scale.md
    "wsgn-run videos/ --engine wsgn.onnx -o sharded -f json,csv --shard 1/2": Run(),
    "wsgn-run videos/ --engine wsgn.onnx -o sharded -f json,csv --shard 2/2": Run(),
    "wsgn-run merge sharded": Run(),
    "wsgn-run videos/ --engine wsgn.onnx -o worked --workers 4": Run(),
    "wsgn-run videos/ --engine wsgn.onnx -o rayed --ray head:6379": NO_CLUSTER,
    "wsgn-convert features -o packed --pack 1GB": Run(add="--quiet"),
    "wsgn-run s3://films/day/ s3://films/list.txt --engine s3://films/wsgn.onnx -o s3://found/day "
    "-f json,csv --resume": NO_STORE,
    "wsgn-run s3://films/day/ --engine s3://films/wsgn.onnx -o s3://found/day": NO_STORE,
    "wsgn-run merge s3://found/day": NO_STORE,
    "wsgn-features s3://films/day/ --backbone motion -o s3://features/day": NO_STORE,
    "wsgn-convert features -o packed --pack 500MB": Run(add="--quiet"),
    "wsgn-train thumos14.json --features packed --subset validation --skip-missing "
    "-o runs/packed": TRAIN,
    "wsgn-convert features -o s3://bucket/packed --pack 500MB": FEATURES_IN_STORE,
    "wsgn-train thumos14.json --features s3://bucket/packed -o s3://bucket/runs/first": NotHere(
        reason="needs a bucket", nearest="tests/training/test_remote_training.py"
    ),
    "wsgn-predict thumos14.json s3://bucket/runs/first/model.safetensors "
    "--features s3://bucket/packed": FEATURES_IN_STORE,
    f"{PREDICT_PACKED} --shard 1/2": Run(add="--quiet"),
    f"{PREDICT_PACKED} --shard 2/2": Run(add="--quiet"),
    PREDICT_PACKED: Run(add="--quiet"),
    # docs/datasets.md
    "wsgn-convert I3D-features -o features --frame-rate 25 --snippet-length 16 --snippet-stride 16 "
    "--annotations Thumos14reduced-Annotations --annotations-out thumos14.json": Run(add="--quiet"),
    # docs/engines.md
    "wsgn-run golden wsgn.onnx -o golden": Run(),
    "python export/to_onnx.py model.safetensors -o small.onnx --int8 calibration_videos "
    "--annotations annotations.json --videos videos --subset test": NotHere(
        reason="needs a model that finds something in them",
        nearest="tests/prediction/test_predict_command.py",
    ),
    # docs/features.md
    "wsgn-weights convert rgb_imagenet.pt -o i3d_rgb.safetensors": Run(add="--any-checksum"),
    "wsgn-features videos/ -o features --backbone i3d-rgb --weights i3d_rgb.safetensors": Run(
        add=f"{SMALL_CROPS} --threads 1 --quiet"
    ),
    "wsgn-train annotations.json --features features -o runs/i3d": TRAIN,
    "python export/to_onnx.py runs/i3d/model.safetensors -o heads.onnx": Run(),
    "wsgn-run features --engine heads.onnx -o results -f json": Run(),
    "python export/to_onnx.py runs/i3d/model.safetensors -o engine.onnx "
    "--backbone i3d_rgb.safetensors": Run(add=SMALL_CROPS),
    "wsgn-run video.mp4 --engine engine.onnx": Run(),
    # The extra and a network of one's own may lack where this runs; motion stands for both.
    "wsgn-features videos/ -o own --backbone efficientnet-lite0,motion --frame-rate 10 "
    "--snippet-length 3 --snippet-stride 2 --resize stretch --image-frames 1": Run(
        instead=(("efficientnet-lite0,motion", "motion"),), add="--threads 1 --quiet"
    ),
    "wsgn-train annotations.json --features own -o runs/own": TRAIN,
    "python export/to_onnx.py runs/own/model.safetensors -o own.onnx "
    "--backbone efficientnet-lite0,motion": Run(instead=(("efficientnet-lite0,motion", "motion"),)),
    "wsgn-run video.mp4 --engine own.onnx": Run(),
    "wsgn-features videos/ -o two --backbone i3d-rgb --weights i3d_rgb.safetensors "
    "--backbone i3d-flow --weights i3d_flow.safetensors --flow dis": FLOW,
    "wsgn-train annotations.json --features two -o runs/two": FLOW,
    "python export/to_onnx.py runs/two/model.safetensors -o two.onnx "
    "--backbone i3d_rgb.safetensors,i3d_flow.safetensors": FLOW,
    "wsgn-run video.mp4 --engine two.onnx": FLOW,
    "wsgn-features videos/ -o mine --backbone onnx:network.onnx,motion --onnx-output pool": NotHere(
        reason="needs a network of the reader's own", nearest="tests/export/test_joined_streams.py"
    ),
    "wsgn-train annotations.json --features mine -o runs/mine": NotHere(
        reason="needs those features", nearest="tests/export/test_joined_streams.py"
    ),
    "python export/to_onnx.py runs/mine/model.safetensors -o mine.onnx "
    "--backbone onnx:network.onnx,motion --onnx-output pool": NotHere(
        reason="needs that model", nearest="tests/export/test_joined_streams.py"
    ),
    "wsgn-train synthetic/annotations.json --videos synthetic/videos --preset frames "
    "--frame-rate 5 --snippet-length 5 --snippet-stride 2 --height 24 --width 32 --seed 1 "
    "--test test -o runs/frames": TRAIN,
    "wsgn-predict synthetic/annotations.json runs/frames/model.safetensors "
    "--videos synthetic/videos --subset test --protocol activitynet --tiou 0.1 0.2 0.3 0.4 0.5 "
    "-o detections.json": Run(add="--quiet"),
    "wsgn-eval detections.json --truth synthetic/annotations.json --subset test "
    "--protocol activitynet": Run(),
    # docs/first_engine.md
    "wsgn-learn clips/ -o my.onnx": NotHere(
        reason="trains for minutes", nearest="tests/learning/test_learn.py"
    ),
    "wsgn-run video.mp4 --engine my.onnx": Run(),
    "wsgn-learn ut.json --videos ut_videos -o ut.onnx --threads 2": NotHere(
        reason="trains for minutes", nearest="tests/learning/test_learn.py"
    ),
    # docs/gpu.md
    "wsgn-run video.mp4 --engine wsgn.onnx --device cuda": NO_GPU,
    "wsgn-run manifest wsgn.plan": Run(),
    # docs/graphs.md
    "python export/to_onnx.py model.safetensors -o videos.onnx --graph whole-video": Run(),
    "python export/to_onnx.py model.safetensors -o streams.onnx --graph streaming": Run(),
    # docs/live.md
    "wsgn-run video.mp4 --engine wsgn.onnx --realtime": Run(add="--end 1"),
    # docs/notify.md
    "wsgn-run cameras.toml --engine wsgn.onnx --notify https://example.org/hook": NO_RECEIVER,
    "wsgn-run cameras.toml --engine wsgn.onnx "
    "--notify mqtts://broker.example.org/home/cameras": NO_RECEIVER,
    "mosquitto_sub -h broker.example.org -v -t 'wsgn/#'": NO_RECEIVER,
    # docs/report.md
    "wsgn-run --demo -o demo": Run(),
    "wsgn-run videos/ --engine wsgn.onnx -o results -f html,jsonl --save-scores": Run(),
    "wsgn-run report results --videos videos --truth annotations.json -o pages": Run(),
    # docs/results.md
    "wsgn-synthesize videos synthetic --train 160 --test 40 --seed 0 --workers 2": SYNTHESIZE,
    # docs/synthetic_features.md
    "wsgn-synthesize features synthetic_thumos14 --annotations thumos14.json": Run(),
    "wsgn-synthesize features hard256 --annotations thumos14.json --feature-size 256 "
    "--difficulty hard --seed 1": Run(),
    "wsgn-synthesize features quiet --annotations thumos14.json --establishing-strength 0": Run(),
    # docs/tensorrt.md
    "python export/to_onnx.py model.safetensors -o wsgn.onnx": Run(),
    "python export/to_tensorrt.py wsgn.onnx -o wsgn.plan": Run(),
    # docs/tools.md
    "wsgn-run videos/ --engine wsgn.onnx -o results -f jsonl": Run(),
    "wsgn-run export results --to eaf --videos videos/ -o corrections": Run(needs="pympi"),
    "wsgn-train corrections --videos videos/ -o runs/corrected": NotHere(
        reason="needs corrections by hand", nearest="tests/interchange/test_corrected_files.py"
    ),
    # docs/training.md
    # The extra may lack where this runs, and its network takes its time.
    "wsgn-train annotations.json --videos videos --test test -o runs/own": NotHere(
        reason="needs the extra efficientnet", nearest="tests/training/test_training_on_videos.py"
    ),
    "python export/to_onnx.py runs/own/model.safetensors -o own.onnx": NotHere(
        reason="needs that model", nearest="tests/training/test_training_on_videos.py"
    ),
    "wsgn-train thumos14.json --features features --subset validation --test test "
    "--protocol activitynet-210 --skip-missing -o runs/thumos14": TRAIN,
    "torchrun --nproc-per-node 2 -m wsgn.training.cli annotations.json --features features "
    "-o runs/joint --device cuda": MANY_PROCESSES,
    "torchrun --nnodes 2 --node-rank 0 --master-addr 10.0.0.1 --master-port 29500 "
    "--nproc-per-node 2 -m wsgn.training.cli annotations.json --features features -o runs/joint "
    "--device cuda": MANY_PROCESSES,
    "torchrun --nnodes 2 --node-rank 1 --master-addr 10.0.0.1 --master-port 29500 "
    "--nproc-per-node 2 -m wsgn.training.cli annotations.json --features features -o runs/joint "
    "--device cuda": MANY_PROCESSES,
    "wsgn-eval runs/first/detections.json --truth synthetic/annotations.json --subset test "
    "--protocol activitynet --tiou 0.1 0.3 0.5 0.7 --report report.html": Run(),
    "wsgn-eval --group ours runs/ours-*/detections.json --group wtalc runs/wtalc-*/detections.json "
    "--truth thumos14.json --format latex": NotHere(
        reason="needs trainings over several seeds",
        nearest="tests/metrics/test_compared_results.py",
    ),
    "wsgn-predict thumos14.json runs/thumos14/model.safetensors --features features "
    "--skip-missing --protocol thumos-2015 --each-output -o detections.json": Run(add="--quiet"),
    "wsgn-predict thumos14.json runs/thumos14/model.safetensors --features features "
    "--skip-missing --subset validation --segments middle --smoothing-seconds 3 "
    "--write-model middle.safetensors": Run(add="--quiet"),
    "wsgn-synthesize videos --sample a.mp4 --actions wave,jump --duration 12": Run(
        add="--frame-rate 5 --width 96 --height 72"
    ),
    "wsgn-run -o results -f json synthetic/videos": Run(add="--engine wsgn.onnx"),
    # docs/streaming.md
    "python export/to_onnx.py model.safetensors -o wsgn.onnx --false-alarms-per-hour 1 "
    "--annotations annotations.json --features features --subset test": NotHere(
        reason="needs features of a model that the page does not make",
        nearest="tests/export/test_alarm_thresholds.py",
    ),
    # docs/triton_server.md
    "python export/to_triton_server.py wsgn.onnx -o model_repository": Run(),
    "python export/to_onnx.py model.safetensors --graph streaming -o streams.onnx": Run(),
    "python export/to_triton_server.py streams.onnx --name live -o model_repository": Run(),
    # kernels/README.md
    "python export/to_cubin.py wsgn.onnx -o compiled/": Run(add="--targets 90"),
}

# Parts of commands in the text, which name an option or a command: only their options are checked.
MENTIONS = {
    "python -m wsgn.export.to_onnx",
    "wsgn-predict --each-output --segments many",
    "wsgn-predict --json",
    "wsgn-predict -o",
    "wsgn-predict --workers 4",
    "wsgn-features --processes 4",
    "wsgn-convert --annotations-out",
    "wsgn-eval --report",
    "wsgn-run -o",
    "wsgn-run clips",
    "wsgn-run -f json",
    "wsgn-run -f html",
    "wsgn-run manifest",
    "wsgn-run probe",
    "wsgn-run report",
    "wsgn-train --device cuda",
    "wsgn-train -o",
    "wsgn-train --test",
    "wsgn-weights convert",
}

# Programs that start what is in docs/deploy/ on other machines, or as root.
OF_MACHINES = ("docker", "kubectl", "sbatch", "sudo")

# Options of other people's programs that the pages name.
OF_OTHERS = {
    "--array", "--exit-timeout-secs", "--gpus", "--master-port", "--model-repository",
    "--rdzv-conf",
}  # fmt: skip


def commands(page: str) -> list[str]:
    """The whole commands of a page, each once."""
    text = read_page(page)
    found = [*block_commands(text), *inline_commands(text)]
    return list(dict.fromkeys(c for c in found if not is_template(c) and c not in MENTIONS))


def shown_elsewhere(command: str) -> str | None:
    """What is wrong with a command that another test or the build runs; None of other commands."""
    words = documents.split(command)
    if words[0] == "make":
        known = re.findall(r"^(\w+):", read_page("Makefile"), re.MULTILINE)
        return "" if words[1] in known else f"the Makefile has no {words[1]}"
    if words[0] == "pip":
        extras = set(tomllib.loads(read_page("pyproject.toml"))["project"]["optional-dependencies"])
        named = re.findall(r"\.\[([\w,-]+)\]", command)
        unknown = {extra for group in named for extra in group.split(",")} - extras
        return f"there are no extras {unknown}" if unknown else ""
    if words[0] == "pytest":
        missing = [word for word in words[1:] if not (ROOT / word).exists()]
        return f"there is no {missing}" if missing else ""
    if words[0] in ("curl", "tritonserver"):
        return ""  # tests/export/test_triton_server_served.py, where NVIDIA's server is installed
    if words[0] in OF_MACHINES:
        # tests/runtime/test_deployment_files.py holds the files against the code.
        missing = [w for w in words if w.startswith("docs/") and not (ROOT / w).exists()]
        return f"there is no {missing}" if missing else ""
    if command.startswith("benchmarks/gpu.sh"):
        return ""  # tests/benchmarks/gpu
    if command.startswith("python -m benchmarks."):
        # tests/benchmarks/test_every_script.py runs every one that there is.
        path = words[2].replace(".", "/")
        there = (ROOT / f"{path}.py").is_file() or (ROOT / path / "__main__.py").is_file()
        return "" if there else f"there is no module {words[2]}"
    return None


def problems(found: Sequence[str], table: dict[str, Run | NotHere]) -> list[str]:
    """Commands of the pages that nothing runs, and entries of the table that no page uses."""
    wrong = []
    for command in found:
        elsewhere = shown_elsewhere(command)
        if elsewhere:
            wrong.append(f"{command}: {elsewhere}")
        elif elsewhere is None and command not in table:
            wrong.append(f"{command}: nothing runs it; give it an entry in COMMANDS")
    wrong += [f"{command}: no page has it" for command in table if command not in found]
    return wrong


def test_every_command_has_an_entry_and_every_entry_a_command() -> None:
    found = [command for page in documents.PAGES for command in commands(page)]
    assert problems(found, COMMANDS) == []
    named = {c for page in documents.PAGES for c in inline_commands(read_page(page))}
    assert sorted(MENTIONS - named) == []


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ("wsgn-run another.mp4", "nothing runs it"),
        ("make coffee", "has no coffee"),
        ("pip install '.[train,cheese]'", "no extras {'cheese'}"),
        ("pytest tests/nothing", "there is no"),
        ("kubectl apply -f docs/deploy/nothing.yaml", "there is no"),
        ("python -m benchmarks.nothing", "there is no module"),
    ],
)
def test_a_planted_command_is_found(planted: str, said: str) -> None:
    (problem,) = problems([*COMMANDS, planted], COMMANDS)
    assert said in problem


def test_an_entry_without_a_page_is_found() -> None:
    assert problems([], {"wsgn-run video.mp4": Run()}) == ["wsgn-run video.mp4: no page has it"]


@pytest.mark.parametrize("page", documents.PAGES)
def test_blocks_of_commands_are_marked_as_such(page: str) -> None:
    assert documents.unmarked_commands(read_page(page)) == []


def test_what_cannot_run_here_names_a_test_that_comes_nearest() -> None:
    for entry in (*COMMANDS.values(), *PYTHON_NOT_HERE.values()):
        assert isinstance(entry, Run) or (ROOT / entry.nearest).is_file(), entry


# Python in the pages that cannot run here; what is in the others runs behind their commands.
PYTHON_NOT_HERE = {
    "docs/api.md": NotHere(reason="run by itself", nearest="tests/test_api.py"),
    "docs/first_engine.md": NotHere(
        reason="trains for minutes", nearest="tests/learning/test_learn.py"
    ),
    "docs/notify.md": NotHere(
        reason="runs until it is stopped", nearest="tests/runtime/notify/test_notify_command.py"
    ),
    "docs/streaming.md": NotHere(
        reason="leaves out the numbers", nearest="tests/runtime/streaming/test_detector.py"
    ),
    "docs/tools.md": NotHere(
        reason="needs FiftyOne, of a gigabyte", nearest="tests/interchange/test_fiftyone.py"
    ),
    "docs/triton_server.md": NotHere(
        reason="needs a server", nearest="tests/export/test_triton_server_served.py"
    ),
    "kernels/README.md": NotHere(
        reason="needs a GPU", nearest="tests/engines/kernels/test_launcher_on_gpu.py"
    ),
}
# And the names that it takes for granted.
GIVEN = {
    "README.md": {},
    "docs/datasets.md": {"features": np.ones((46, 2048), dtype=np.float32)},
    "docs/graphs.md": {"source": [np.ones((n, 16), dtype=np.float32) for n in (1, 7, 3)]},
}


# What a page takes for granted, by names of `readers_folder`.
TAKEN_FOR_GRANTED: dict[str, tuple[str, ...]] = {
    "README.md": (
        "video.mp4",
        "videos",
        "wsgn.onnx",
        "annotations.json",
        "i3d.safetensors",
        "I3D-features",
    ),
    "docs/api.md": (),
    "docs/backbones.md": ("rgb_imagenet.pt",),
    "docs/clips.md": ("video.mp4", "wsgn.onnx"),
    "docs/datasets.md": ("I3D-features", "Thumos14reduced-Annotations"),
    "docs/engines.md": ("video.mp4", "wsgn.onnx"),
    "docs/features.md": ("rgb_imagenet.pt", "videos", "annotations.json", "video.mp4", "synthetic"),
    "docs/first_engine.md": ("video.mp4", "my.onnx"),
    "docs/gpu.md": ("wsgn.onnx", "wsgn.plan"),
    "docs/graphs.md": ("model.safetensors", "video.npy"),
    "docs/live.md": ("video.mp4", "wsgn.onnx"),
    "docs/report.md": ("annotations.json", "videos", "wsgn.onnx"),
    "docs/results.md": (),
    "docs/scale.md": ("videos", "wsgn.onnx", "thumos14.json", "features"),
    "docs/scale_figures.md": (),
    "docs/synthetic_features.md": ("thumos14.json",),
    "docs/tensorrt.md": ("model.safetensors",),
    "docs/tools.md": ("videos", "wsgn.onnx"),
    "docs/training.md": (
        "synthetic",
        "runs/first/detections.json",
        "thumos14.json",
        "features",
        "wsgn.onnx",
    ),
    "docs/triton_server.md": ("wsgn.onnx", "model.safetensors"),
    "kernels/README.md": ("wsgn.onnx",),
}


def parts(command: str) -> tuple[str, list[str]]:
    """The program, as `main_of` takes it, and its words."""
    words = documents.split(command)
    if words[0] == "python":
        return f"python {words[1]}", words[2:]
    return words[0], words[1:]


def run(command: str, entry: Run) -> None:
    """Run a command in the current folder, and see that it leaves what it promises."""
    for name in entry.without:
        path = Path(name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    program, words = parts(command)
    replaced = dict(entry.instead)
    words = [replaced.get(word, word) for word in words] + documents.split(entry.add)
    code = main_of(program)(words)
    assert code == 0, f"{command} ended with {code}"
    for option, value in itertools.pairwise(words):
        if option == "-o":
            assert Path(value).exists(), f"{command} left no {value}"


def run_here() -> Iterator[tuple[str, list[str]]]:
    """Pages and those of their commands that no earlier page has."""
    known: set[str] = set()
    for page in documents.PAGES:
        own = [c for c in commands(page) if c in COMMANDS and c not in known]
        known.update(own)
        if any(isinstance(COMMANDS[c], Run) for c in own):
            yield page, own


@pytest.mark.parametrize(("page", "own"), [pytest.param(*p, id=p[0]) for p in run_here()])
def test_the_commands_of_a_page_run_one_after_the_other(
    page: str,
    own: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["wsgn"])
    for name in TAKEN_FOR_GRANTED[page]:
        MAKERS[name](tmp_path / name)
    lacking: list[str] = []
    for command in own:
        entry = COMMANDS[command]
        if isinstance(entry, Run) and entry.needs and find_spec(entry.needs) is None:
            lacking.append(entry.needs)
        elif isinstance(entry, Run):
            run(command, entry)
            assert "Traceback" not in capfd.readouterr().err
    if page in GIVEN:
        for block in python_blocks(page):
            exec(compile(block.text, f"{page}:{block.line}", "exec"), dict(GIVEN[page]))
    if lacking:
        pytest.skip(f"all but the commands that need {', '.join(lacking)}")


def python_blocks(page: str) -> list[documents.Block]:
    return [block for block in documents.blocks(read_page(page)) if block.kind == "python"]


def test_python_in_every_page_runs_or_says_why_it_cannot() -> None:
    with_python = {page for page in documents.PAGES if python_blocks(page)}
    assert with_python == {*GIVEN, *PYTHON_NOT_HERE}


# Commands with commands of their own: help of each is asked for by itself.
SUBCOMMANDS = {
    "wsgn-run": ("manifest", "probe", "doctor", "golden", "report", "export", "clips"),
    "wsgn-synthesize": ("videos", "features"),
    "wsgn-weights": ("list", "check", "convert", "download"),
    "python -m benchmarks.scale": ("measure", "predict", "validate", "simulate"),
}


def programs(text: str) -> set[str]:
    """The project's own commands that a page names, as `main_of` takes them."""
    named = set(re.findall(r"wsgn-[a-z]+", text)) & set(scripts())
    named |= {f"python {path}" for path in re.findall(r"export/to_\w+\.py", text)}
    # In the text the folder is left out where it is plain.
    bare = [f"export/{name}.py" for name in re.findall(r"`(to_\w+)", text)]
    named |= {f"python {path}" for path in bare if (ROOT / path).is_file()}
    return named | set(re.findall(r"python -m benchmarks\.[a-z_\d.]*[a-z\d]", text))


@pytest.fixture(scope="module")
def helps() -> dict[str, set[str]]:
    """Every option that a command and its own commands mention in their help, by command."""
    known: dict[str, set[str]] = {}
    for program in sorted({p for page in documents.PAGES for p in programs(read_page(page))}):
        known[program] = set()
        for words in ((), *((name,) for name in SUBCOMMANDS.get(program, ()))):
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                code = exit_code(program, [*words, "--help"])
            assert code == 0, f"{program} {words} --help ended with {code}"
            known[program] |= set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", said.getvalue()))
    return known


def exit_code(program: str, words: list[str]) -> int | str | None:
    """Of a command that may end by itself, as argparse does."""
    try:
        return main_of(program)(words)
    except SystemExit as stop:
        return stop.code or 0


def unknown_options(text: str, helps: Mapping[str, set[str]]) -> Iterator[str]:
    """Options that a page gives to a command which has none of that name."""
    for command in (*block_commands(text), *inline_commands(text)):
        program = program_of(command)
        if program in helps:
            for option in options_of(command.split()):
                if option not in helps[program]:
                    yield f"{command}: {program} has no {option}"
    # In the text and in tables an option stands alone: a command of the page must have it.
    page_options = set().union(*(helps[program] for program in programs(text)), OF_OTHERS)
    for span in documents.spans(text):
        if span.startswith("-"):
            for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", span):
                if option not in page_options:
                    yield f"`{span}`: no command of the page has {option}"


def program_of(command: str) -> str:
    """As `main_of` takes it."""
    words = command.split()
    if words[0].startswith("export/"):
        return f"python {words[0]}"
    return " ".join(words[: 3 if "-m" in words else 2]) if words[0] == "python" else words[0]


@pytest.mark.parametrize("page", documents.PAGES)
def test_every_option_that_a_page_names_exists(page: str, helps: dict[str, set[str]]) -> None:
    assert list(unknown_options(read_page(page), helps)) == []


@pytest.mark.parametrize(
    "planted",
    [
        "```sh\nwsgn-run video.mp4 --ngine wsgn.onnx\n```\n",
        "Try `wsgn-run --thresholds 3`.",
        "`wsgn-run` and\n\n| option | |\n|---|---|\n| `--min-durations` | seconds |\n",
        "`export/to_onnx.py --graphs streaming`",
    ],
)
def test_a_planted_option_is_found(planted: str, helps: dict[str, set[str]]) -> None:
    assert len(list(unknown_options(planted, helps))) == 1
