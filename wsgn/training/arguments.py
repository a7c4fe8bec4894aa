"""The options of `wsgn-train`: a parser, and what its words say as `TrainOptions`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from wsgn.config import DEFAULT_FRAMES, DEFAULT_SAMPLING
from wsgn.errors import UsageError
from wsgn.extraction.recommended import (
    FRAME_RATE,
    SNIPPET_LENGTH,
    SNIPPET_STRIDE,
    PretrainedOptions,
)
from wsgn.features.arguments import (
    add_cache,
    add_data_source,
    add_feature_options,
    add_streams,
    add_video_memory,
    cache_options,
    data_options,
    stream_names,
)
from wsgn.features.options import NATIVE, DataOptions, FeatureOptions
from wsgn.manifest import COMPONENTS, RESIZE_MODES, FrameInput, Sampling
from wsgn.metrics.protocol import PROTOCOLS
from wsgn.presets import DEFAULT_PIXEL_PRESET, DEFAULT_PRESET, PRESETS, Preset, preset
from wsgn.remote.arguments import input_path, local_path, output_folder
from wsgn.support.parser import CommandParser, default_text
from wsgn.training.options import TrainOptions
from wsgn.training.overrides import (
    METHOD_OPTIONS,
    METHODS,
    MODEL_OPTIONS,
    TRAINED_BACKBONES,
    TRAINING_OPTIONS,
    Option,
    overridden,
)

# Of the training videos that --validate holds out.
_USUAL_SHARE = 0.1
# Options that mean nothing where no backbone is trained.
_OF_PIXELS = (
    "backbone", "backbone_weights", "frozen_stages", "checkpoint_gradients", "height", "width",
    "resize",
)  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    """The parser of `wsgn-train`."""
    result = CommandParser(
        prog="wsgn-train",
        usage="%(prog)s ANNOTATIONS (--videos DIR | --features PATH) -o DIR [options]",
        description="Train an action detector from video-level labels.",
        epilog="DIR gets losses.csv, report.html (to look at while it trains), last.safetensors "
        "(to resume) and model.safetensors. The preset decides whatever is not given, "
        f"'{DEFAULT_PRESET}' by default. --videos without a preset or backbone of pixels are seen "
        "by efficientnet-lite0 and motion as they are, whose features are kept on disk.",
    )
    result.add_argument(
        "annotations",
        type=input_path,
        help="JSON, a table (CSV), a folder for each class, or files of ELAN, Label Studio or VIA",
    )
    result.add_argument(
        "-o",
        "--output",
        type=output_folder,
        required=True,
        metavar="DIR",
        help="folder of the training, or an address (s3://...)",
    )
    result.add_argument(
        "--preset",
        choices=PRESETS,
        metavar="PRESET",
        help="; ".join(f"{name}: {PRESETS[name].description}" for name in PRESETS),
    )
    again = result.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on from DIR/last.safetensors")
    again.add_argument("--overwrite", action="store_true", help="start afresh in a used DIR")
    result.add_argument("-q", "--quiet", action="store_true", help="no progress bars and notices")
    _add_data_options(result.add_argument_group("data"))
    _add_model_options(result.add_argument_group("model"))
    _add_training_options(result.add_argument_group("training"))
    return result


def _add_data_options(group: argparse._ArgumentGroup) -> None:
    add_data_source(group)
    group.add_argument("--subset", default="train", help="subset to train on (default: train)")
    group.add_argument(
        "--test", metavar="SUBSET", help="evaluate on this subset at the end (default: none)"
    )
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
    group.add_argument(
        "--feature-cache",
        type=local_path,
        metavar="DIR",
        help="where features of --videos are kept, for other trainings too (default: features in "
        "the folder of the training)",
    )
    for side in ("height", "width"):
        usual = getattr(DEFAULT_FRAMES, side)
        group.add_argument(
            f"--{side}", type=int, help=f"pixels, for a backbone that is trained (default: {usual})"
        )
    group.add_argument(
        "--resize",
        choices=RESIZE_MODES,
        help=f"how frames of another shape get there (default: {DEFAULT_FRAMES.resize})",
    )
    add_video_memory(group)
    add_cache(group)
    add_feature_options(group, videos=DEFAULT_SAMPLING)
    add_streams(group)


def _add_model_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--method", choices=METHODS, help="wsgn, or a baseline beside it (default: wsgn)"
    )
    group.add_argument(
        "--components",
        help=f"normalisations to average, of {','.join(COMPONENTS)}; 'none' is the naive model "
        "(default: all)",
        metavar="A,B",
    )
    group.add_argument(
        "--backbone",
        choices=TRAINED_BACKBONES,
        help="trained on pixels (default of presets for pixels: compact)",
    )
    group.add_argument(
        "--backbone-weights", type=input_path, help="start it from these (wsgn-weights convert)"
    )
    group.add_argument(
        "--frozen-stages", type=int, help="so many of its stages stay as they are (default: 0)"
    )
    group.add_argument(
        "--checkpoint-gradients",
        action="store_true",
        help="compute its stages again on the way back, to save memory",
    )
    _add(group, (*METHOD_OPTIONS, *MODEL_OPTIONS))


def _add_training_options(group: argparse._ArgumentGroup) -> None:
    _add(group, TRAINING_OPTIONS)
    group.add_argument(
        "--validate",
        nargs="?",
        const=_USUAL_SHARE,
        type=_share_or_subset,
        metavar="SHARE",
        help="show the video mAP of this share of the training videos, which is held out, or of a "
        f"subset of this name (without either: {_USUAL_SHARE:g})",
    )
    group.add_argument(
        "--validate-every", type=int, default=50, help="steps between two looks (default: 50)"
    )
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
    group.add_argument(
        "--compile",
        action="store_true",
        help="torch.compile the layers, on a CPU the selection too",
    )
    group.add_argument(
        "--cuda-graph",
        action="store_true",
        help="record updates as CUDA graphs and replay them; not tried on a GPU yet",
    )
    group.add_argument("--tensorboard", action="store_true", help="log to DIR/tensorboard too")
    group.add_argument("--threads", type=int, help="CPU threads (default: all)")


def _share_or_subset(text: str) -> float | str:
    """A share of videos, or the name of a subset."""
    try:
        return float(text)
    except ValueError:
        return text


def _add(group: argparse._ArgumentGroup, options: Sequence[Option]) -> None:
    for option in options:
        ours, of_pixels = map(default_text, option.defaults)
        also = "" if of_pixels == ours else f"; of {DEFAULT_PIXEL_PRESET} {of_pixels}"
        words = f"{option.help} (default: {ours}{also})"
        group.add_argument(option.flag, type=option.kind, choices=option.choices, help=words)


def train_options(argv: Sequence[str] | None = None) -> TrainOptions:
    """What the words of a command line say; those of the process by default."""
    arguments = _parser().parse_args(argv)
    _require_meaning(arguments)
    sampling, frames = DEFAULT_SAMPLING, DEFAULT_FRAMES
    validate: float | str | None = arguments.validate
    if _is_on_pixels(arguments):
        sampling, frames = _sampling(arguments, DEFAULT_SAMPLING), _frames(arguments)
    return TrainOptions(
        annotations=arguments.annotations,
        data=_data(arguments),
        output=arguments.output,
        cache=cache_options(arguments),
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        preset=_preset(arguments),
        backbone_weights=arguments.backbone_weights,
        sampling=sampling,
        frames=frames,
        subset=arguments.subset,
        test_subset=arguments.test,
        protocol=arguments.protocol,
        validation_subset=validate if isinstance(validate, str) else None,
        validate_every=arguments.validate_every,
        labels_from_segments=arguments.labels_from_segments,
        device=arguments.device,
        num_threads=arguments.threads,
        compile_layers=arguments.compile,
        cuda_graph=arguments.cuda_graph,
        tensorboard=arguments.tensorboard,
        progress=not arguments.quiet,
    )


def _is_on_pixels(arguments: argparse.Namespace) -> bool:
    """Whether a backbone is trained: one was named, or a preset for pixels."""
    if arguments.features is not None:
        return False
    return bool(arguments.backbone) or (
        arguments.preset is not None and PRESETS[arguments.preset].on_pixels
    )


def _require_meaning(arguments: argparse.Namespace) -> None:
    """Refuse options that would be left unused."""
    if _is_on_pixels(arguments):
        if arguments.feature_cache is not None:
            raise UsageError("--feature-cache has no meaning where a backbone is trained.")
        if arguments.cache is not None:
            raise UsageError("--cache is for features: videos are kept by --video-memory.")
        return
    if arguments.features is not None and arguments.feature_cache is not None:
        raise UsageError("--feature-cache is for the features of --videos.")
    given = [name for name in _OF_PIXELS if getattr(arguments, name)]
    if given:
        flag = f"--{given[0].replace('_', '-')}"
        if arguments.features is not None:
            raise UsageError(f"{flag} has no meaning with --features.")
        raise UsageError(
            f"{flag} is for a backbone that is trained: name one (--backbone), or the compact "
            f"network (--preset {DEFAULT_PIXEL_PRESET})."
        )


def _data(arguments: argparse.Namespace) -> DataOptions | PretrainedOptions:
    found = data_options(arguments)
    if _is_on_pixels(arguments) or isinstance(found, FeatureOptions):
        return found
    usual = Sampling(
        frame_rate=FRAME_RATE, snippet_length=SNIPPET_LENGTH, snippet_stride=SNIPPET_STRIDE
    )
    sampling = _sampling(arguments, usual)
    return PretrainedOptions(
        folder=found.folder,
        cache=arguments.feature_cache,
        frame_rate=sampling.frame_rate,
        snippet_length=sampling.snippet_length,
        snippet_stride=sampling.snippet_stride,
        streams=stream_names(arguments.streams),
        skip_missing=arguments.skip_missing,
        only_present=arguments.only_present,
    )


def _sampling(arguments: argparse.Namespace, usual: Sampling) -> Sampling:
    names = ("frame_rate", "snippet_length", "snippet_stride")
    given = {name: getattr(arguments, name) for name in names}
    if given["frame_rate"] == NATIVE:
        raise UsageError("--frame-rate native is for features; videos are sampled at one rate.")
    return replace(usual, **{name: value for name, value in given.items() if value is not None})


def _frames(arguments: argparse.Namespace) -> FrameInput:
    given = {name: getattr(arguments, name) for name in ("height", "width", "resize")}
    return replace(DEFAULT_FRAMES, **{n: value for n, value in given.items() if value is not None})


def _preset(arguments: argparse.Namespace) -> Preset:
    """The preset with everything that the user said otherwise."""
    method_fields = _given(arguments, METHOD_OPTIONS)
    if arguments.components is not None:
        names = arguments.components
        method_fields["components"] = () if names == "none" else tuple(names.split(","))
    backbone_fields: dict[str, Any] = {}
    if arguments.frozen_stages is not None:
        backbone_fields["frozen_stages"] = arguments.frozen_stages
    if arguments.checkpoint_gradients:
        backbone_fields["checkpoint_gradients"] = True
    train_fields = _given(arguments, TRAINING_OPTIONS)
    if arguments.supervised:
        train_fields["supervision"] = "frame"
    if isinstance(arguments.validate, float):
        train_fields["validation_share"] = arguments.validate
    if arguments.normalise_labels:
        train_fields["normalise_labels"] = True
    if arguments.no_augment:
        train_fields["augment"] = False
    # A backbone without a preset is trained as the compact one is.
    usual = DEFAULT_PIXEL_PRESET if _is_on_pixels(arguments) else DEFAULT_PRESET
    return overridden(
        preset(arguments.preset or usual),
        method=arguments.method,
        backbone=arguments.backbone,
        model_fields=_given(arguments, MODEL_OPTIONS),
        method_fields=method_fields,
        backbone_fields=backbone_fields,
        train_fields=train_fields,
    )


def _given(arguments: argparse.Namespace, options: Sequence[Option]) -> dict[str, Any]:
    """The fields that options replace, by name."""
    values = {option.field: getattr(arguments, option.name) for option in options}
    return {name: value for name, value in values.items() if value is not None}
