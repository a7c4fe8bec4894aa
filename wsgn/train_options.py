"""Options of `wsgn-train` and the preset that they change."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from wsgn.backbones.config import BackboneConfig
from wsgn.config import PRECISIONS, SCHEDULES, TIME_UNITS, TrainConfig
from wsgn.data.open_features import AUTO, LAYOUTS
from wsgn.errors import UsageError
from wsgn.extraction.recipe import BACKBONES
from wsgn.manifest import (
    CLASS_ACTIVATIONS,
    COMPONENTS,
    RESIZE_MODES,
    SCORING_SCALES,
    SOFTMAX_SCALES,
    FrameInput,
    Sampling,
)
from wsgn.methods.config import (
    MethodConfig,
    StpnConfig,
    UntrimmedNetsConfig,
    WsgnConfig,
    WtalcConfig,
)
from wsgn.metrics.protocol import PROTOCOLS
from wsgn.presets import PRESETS, Preset, preset

DEFAULT_SAMPLING = Sampling(frame_rate=10.0, snippet_length=8, snippet_stride=4)
DEFAULT_FRAMES = FrameInput(height=48, width=64)

# Of `--frame-rate`: each video has its own.
NATIVE = "native"

# I3D on optical flow takes features only.
TRAINED_BACKBONES = {name: config for name, config in BACKBONES.items() if name != "i3d-flow"}

METHODS: dict[str, MethodConfig] = {
    method.name: method
    for method in (WsgnConfig(), UntrimmedNetsConfig(), StpnConfig(), WtalcConfig())
}


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option that replaces one field of the preset, of its method or of its training."""

    flag: str
    field: str
    kind: type
    words: str
    choices: Sequence[str] | None = None

    @property
    def name(self) -> str:
        """The attribute that argparse gives it."""
        return self.flag.removeprefix("--").replace("-", "_")


MODEL_OPTIONS = (
    Option(
        flag="--softmax-scale",
        field="softmax_scale",
        kind=str,
        words="of the temporal softmax in training; sum_one is the paper",
        choices=SOFTMAX_SCALES,
    ),
    Option(
        flag="--scoring-softmax-scale",
        field="scoring_softmax_scale",
        kind=str,
        words="of the temporal softmax when frames are scored",
        choices=SCORING_SCALES,
    ),
    Option(
        flag="--class-activation",
        field="class_activation",
        kind=str,
        words="sigmoid for data in which classes share a frame",
        choices=CLASS_ACTIVATIONS,
    ),
    Option(
        flag="--coactivity-weight",
        field="coactivity_weight",
        kind=float,
        words="of the co-activity loss; needs --batch-pairs",
    ),
    Option(flag="--dropout", field="dropout", kind=float, words="share of the features dropped"),
    Option(
        flag="--time-unit",
        field="time_unit",
        kind=str,
        words="score snippets, or frames between which features are interpolated",
        choices=TIME_UNITS,
    ),
    Option(flag="--scoring-step", field="scoring_step", kind=int, words="score every n-th frame"),
    Option(
        flag="--smoothing-snippets",
        field="smoothing_snippets",
        kind=int,
        words="scores averaged before segments are cut",
    ),
)

TRAINING_OPTIONS = (
    Option(flag="--steps", field="num_steps", kind=int, words="updates"),
    Option(flag="--batch-videos", field="batch_videos", kind=int, words="videos in an update"),
    Option(
        flag="--batch-pairs", field="batch_pairs", kind=int, words="so many pairs share a class"
    ),
    Option(
        flag="--accumulate-snippets",
        field="accumulate_snippets",
        kind=int,
        words="accumulate gradients over parts of so many snippets; 0: the batch at once",
    ),
    Option(
        flag="--backbone-snippets",
        field="backbone_snippets",
        kind=int,
        words="snippets through the backbone at a time, to save memory; 0: all",
    ),
    Option(flag="--thinning", field="thinning", kind=int, words="train on every n-th snippet"),
    Option(
        flag="--start-range", field="start_range", kind=int, words="its start is random below this"
    ),
    Option(flag="--learning-rate", field="learning_rate", kind=float, words="of Adam"),
    Option(flag="--weight-decay", field="weight_decay", kind=float, words="of Adam"),
    Option(
        flag="--schedule",
        field="schedule",
        kind=str,
        words="of the learning rate after the warm-up",
        choices=SCHEDULES,
    ),
    Option(flag="--warmup-steps", field="warmup_steps", kind=int, words="updates of warm-up"),
    Option(
        flag="--gradient-clip", field="gradient_clip", kind=float, words="largest norm; 0: none"
    ),
    Option(
        flag="--precision",
        field="precision",
        kind=str,
        words="of the matrix products",
        choices=PRECISIONS,
    ),
    Option(
        flag="--checkpoint-every",
        field="checkpoint_every",
        kind=int,
        words="updates between two checkpoints",
    ),
    Option(flag="--seed", field="seed", kind=int, words="of everything random"),
)


def parser() -> argparse.ArgumentParser:
    """The parser of `wsgn-train`."""
    result = argparse.ArgumentParser(
        prog="wsgn-train",
        description="Train an action detector from video-level labels.",
        epilog="DIR gets losses.csv, last.safetensors (to resume) and model.safetensors. What a "
        "preset sets is replaced by the options that you give.",
    )
    result.add_argument("annotations", type=Path, help="ActivityNet-style JSON")
    result.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    result.add_argument(
        "--preset",
        choices=PRESETS,
        default="videos",
        help="; ".join(f"{name}: {PRESETS[name].description}" for name in PRESETS),
    )
    again = result.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on from DIR/last.safetensors")
    again.add_argument("--overwrite", action="store_true", help="start afresh in a used DIR")
    result.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    _add_data_options(result.add_argument_group("data"))
    _add_model_options(result.add_argument_group("model"))
    _add_training_options(result.add_argument_group("training"))
    return result


def _add_data_options(group: argparse._ArgumentGroup) -> None:
    data = group.add_mutually_exclusive_group(required=True)
    data.add_argument("--videos", type=Path, metavar="DIR", help="folder of video files")
    data.add_argument("--features", type=Path, metavar="PATH", help="feature files, any layout")
    group.add_argument("--subset", default="train", help="subset to train on (default: train)")
    group.add_argument("--test", metavar="SUBSET", help="evaluate on this subset at the end")
    group.add_argument(
        "--protocol",
        choices=tuple(PROTOCOLS),
        default="activitynet",
        help="of that evaluation (default: %(default)s)",
    )
    group.add_argument(
        "--labels-from-segments",
        action="store_true",
        help="video-level labels from the segments, where both are there and differ",
    )
    group.add_argument("--height", type=int, default=DEFAULT_FRAMES.height, help="pixels")
    group.add_argument("--width", type=int, default=DEFAULT_FRAMES.width, help="pixels")
    group.add_argument(
        "--resize",
        choices=RESIZE_MODES,
        default=DEFAULT_FRAMES.resize,
        help="how pictures of another shape get there (default: %(default)s)",
    )
    add_video_memory(group)
    add_feature_options(group)
    group.add_argument("--streams", help="of the features: rgb, flow or rgb,flow (default: all)")


def add_video_memory(group: argparse._ArgumentGroup) -> None:
    """The option for the memory that decoded videos may take."""
    group.add_argument(
        "--video-memory",
        type=float,
        default=4.0,
        help="GiB of decoded videos that are kept; others are decoded again (default: 4)",
    )


def add_feature_options(group: argparse._ArgumentGroup) -> None:
    """Options for the layout and the time base of features."""
    group.add_argument(
        "--layout", choices=(AUTO, *LAYOUTS), default=AUTO, help="of --features (default: auto)"
    )
    group.add_argument(
        "--frame-rate",
        type=_frame_rate,
        help="frames per second, or 'native' for those in the annotations; features that carry "
        "their time base need none of these three",
    )
    group.add_argument(
        "--skip-missing", action="store_true", help="leave out videos without features"
    )
    group.add_argument("--snippet-length", type=int, help="frames in a snippet")
    group.add_argument("--snippet-stride", type=int, help="frames between snippets")


def _frame_rate(text: str) -> float | str:
    return text if text == NATIVE else float(text)


def stream_names(text: str | None) -> tuple[str, ...]:
    """The streams of `--streams`; empty means all."""
    return () if text is None else tuple(text.split(","))


def _add_model_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--method", choices=METHODS, help="wsgn, or a baseline beside it")
    group.add_argument(
        "--components",
        help=f"normalisations to average, of {','.join(COMPONENTS)}; 'none' is the naive model",
    )
    group.add_argument("--backbone", choices=TRAINED_BACKBONES, help="the network for pixels")
    group.add_argument(
        "--backbone-weights", type=Path, help="start it from these (wsgn-weights convert)"
    )
    group.add_argument("--frozen-stages", type=int, help="so many of its stages stay as they are")
    group.add_argument(
        "--checkpoint-gradients",
        action="store_true",
        help="compute its stages again on the way back, to save memory",
    )
    _add(group, MODEL_OPTIONS)


def _add_training_options(group: argparse._ArgumentGroup) -> None:
    _add(group, TRAINING_OPTIONS)
    group.add_argument(
        "--supervised", action="store_true", help="train on the segments too (an upper bound)"
    )
    group.add_argument(
        "--normalise-labels", action="store_true", help="divide a video's labels by their sum"
    )
    group.add_argument(
        "--no-augment", action="store_true", help="no flips, shifts and relighting of videos"
    )
    group.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    group.add_argument("--compile", action="store_true", help="torch.compile the layers")
    group.add_argument("--tensorboard", action="store_true", help="log to DIR/tensorboard too")
    group.add_argument("--threads", type=int, help="CPU threads (default: all)")


def _add(group: argparse._ArgumentGroup, options: Sequence[Option]) -> None:
    for option in options:
        group.add_argument(option.flag, type=option.kind, choices=option.choices, help=option.words)


def chosen_preset(arguments: argparse.Namespace) -> Preset:
    """The preset with everything that the user said otherwise."""
    chosen = preset(arguments.preset)
    if arguments.method is not None:
        chosen = replace(chosen, method=METHODS[arguments.method])
    method: dict[str, Any] = {}
    if arguments.components is not None:
        names = arguments.components
        method["components"] = () if names == "none" else tuple(names.split(","))
    outer: dict[str, Any] = {}
    own = {field.name for field in fields(chosen)}
    for option, value in _given(arguments, MODEL_OPTIONS):
        (outer if option.field in own else method)[option.field] = value
    _require_fields(chosen.method, method)
    return replace(
        chosen,
        backbone=_backbone(chosen.backbone, arguments),
        method=replace(chosen.method, **method),
        train=_train_config(chosen.train, arguments),
        **outer,
    )


def _backbone(default: BackboneConfig, arguments: argparse.Namespace) -> BackboneConfig:
    chosen = default if arguments.backbone is None else TRAINED_BACKBONES[arguments.backbone]
    values: dict[str, Any] = {}
    if arguments.frozen_stages is not None:
        values["frozen_stages"] = arguments.frozen_stages
    if arguments.checkpoint_gradients:
        values["checkpoint_gradients"] = True
    known = {field.name for field in fields(chosen)}
    for name in values:
        if name not in known:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} has no meaning for the backbone '{chosen.name}'.")
    return replace(chosen, **values)


def _train_config(default: TrainConfig, arguments: argparse.Namespace) -> TrainConfig:
    values = {option.field: value for option, value in _given(arguments, TRAINING_OPTIONS)}
    if arguments.supervised:
        values["supervision"] = "frame"
    if arguments.normalise_labels:
        values["normalise_labels"] = True
    if arguments.no_augment:
        values["augment"] = False
    return replace(default, **values)


def _given(arguments: argparse.Namespace, options: Sequence[Option]) -> list[tuple[Option, Any]]:
    values = ((option, getattr(arguments, option.name)) for option in options)
    return [(option, value) for option, value in values if value is not None]


def _require_fields(method: MethodConfig, values: dict[str, Any]) -> None:
    known = {field.name for field in fields(method)}
    for name in values:
        if name not in known:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} has no meaning for the method '{method.name}'.")
