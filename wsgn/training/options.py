"""The parser of `wsgn-train`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from wsgn.config import DEFAULT_FRAMES
from wsgn.features.arguments import (
    add_data_source,
    add_feature_options,
    add_streams,
    add_video_memory,
)
from wsgn.manifest import COMPONENTS, RESIZE_MODES
from wsgn.metrics.protocol import PROTOCOLS
from wsgn.presets import PRESETS
from wsgn.training.overrides import (
    METHODS,
    MODEL_OPTIONS,
    TRAINED_BACKBONES,
    TRAINING_OPTIONS,
    Option,
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
    add_data_source(group)
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
    add_streams(group)


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
