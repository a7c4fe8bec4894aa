"""`wsgn-features`: features of videos by a published network, one file per video."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsgn.errors import MissingExtraError, UsageError
from wsgn.extraction.arguments import add_onnx_options, backbone_names, onnx_options
from wsgn.extraction.choose import ChosenNetwork, choose_networks, split_names
from wsgn.extraction.config import (
    BACKBONES,
    CROP_SIZE,
    DTYPES,
    ONNX_PREFIX,
    SHORT_SIDE,
    ExtractionConfig,
    Network,
)
from wsgn.extraction.options import ExtractOptions
from wsgn.extraction.progress import Progress
from wsgn.extraction.videos import expand_videos
from wsgn.features.options import NATIVE
from wsgn.manifest import FLOW_METHODS, RESIZE_MODES
from wsgn.remote.arguments import input_path, output_folder
from wsgn.support.command import report_failures, run_command, say
from wsgn.support.parser import CommandParser
from wsgn.support.shards import read_shard
from wsgn.support.terminal import print_lines
from wsgn.workers.arguments import add_ray, add_shard, add_workers
from wsgn.workers.options import worker_options

if TYPE_CHECKING:
    from wsgn.extraction.batch import BatchWatcher, Extraction

_NAME = "wsgn-features"
_USUAL_WORKERS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 done, 2 usage, 3 unreadable input, 4 some videos failed, 6 output."""
    return run_command(
        _NAME,
        lambda: _run(_options(_parser().parse_args(argv))),
        interrupted=lambda: "interrupted; run it again to go on.",
    )


def _parser() -> argparse.ArgumentParser:
    """The parser of `wsgn-features`."""
    result = CommandParser(
        prog="wsgn-features",
        description="Extract features of videos into one <video>.safetensors per video, with its "
        "time base. Run again, it goes on where it stopped.",
    )
    result.add_argument(
        "videos", nargs="+", metavar="VIDEO", help="video file, folder, or pattern in quotes"
    )
    result.add_argument(
        "-o",
        "--output",
        type=output_folder,
        required=True,
        metavar="DIR",
        help="folder for the features",
    )
    _add_network_options(result.add_argument_group("network"))
    _add_sampling_options(result.add_argument_group("sampling"))
    group = result.add_argument_group("run")
    group.add_argument(
        "--workers",
        type=int,
        help="videos decoded at a time, in one process for one network (default: "
        f"{_USUAL_WORKERS}); --processes has a network and a video in each",
    )
    add_workers(group, "--processes", "video")
    add_ray(group, "--processes", "video")
    add_shard(group, "video")
    group.add_argument(
        "--batch", type=int, default=4, help="snippets in a call of the network (default: 4)"
    )
    group.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    group.add_argument("--threads", type=int, help="CPU threads of the network (default: all)")
    group.add_argument("--overwrite", action="store_true", help="extract finished videos again")
    group.add_argument("-q", "--quiet", action="store_true", help="no progress bar and notices")
    return result


def _add_network_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--backbone",
        type=backbone_names,
        action="append",
        required=True,
        metavar="NAME[,NAME]",
        help=f"{', '.join(BACKBONES)}, or {ONNX_PREFIX}FILE, a network of your own; of several "
        "(efficientnet-lite0,motion) the features stand behind each other",
    )
    group.add_argument(
        "--weights",
        action="append",
        type=input_path,
        metavar="FILE.safetensors",
        help="of wsgn-weights convert; one for each --backbone that needs one, in their order",
    )
    group.add_argument(
        "--random-weights", action="store_true", help="for tests and timing; the files say so"
    )
    group.add_argument(
        "--flow",
        choices=FLOW_METHODS,
        default="tvl1",
        help="for i3d-flow: tvl1 as published, or dis, hundreds of times as fast",
    )
    add_onnx_options(group)
    group.add_argument("--dtype", choices=DTYPES, default="float32", help="of the stored values")


def _add_sampling_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--frame-rate",
        type=_frame_rate,
        default=25.0,
        metavar="FPS",
        help="25, 10, or native for each video's own (default: 25)",
    )
    group.add_argument("--snippet-length", type=int, default=16, help="frames (default: 16)")
    group.add_argument(
        "--snippet-stride", type=int, default=16, help="frames between snippets (default: 16)"
    )
    group.add_argument("--short-side", type=int, default=SHORT_SIDE, help="pixels (default: 256)")
    group.add_argument("--crop-size", type=int, default=CROP_SIZE, help="pixels (default: 224)")
    group.add_argument(
        "--resize",
        choices=RESIZE_MODES,
        default="centre_crop",
        help="stretch makes the whole frame a square of --crop-size (default: centre_crop)",
    )

    group.add_argument(
        "--image-frames",
        type=int,
        default=0,
        metavar="N",
        help="frames of a snippet that networks on images see, evenly spread (default: all)",
    )


def _frame_rate(text: str) -> float | None:
    try:
        return None if text == NATIVE else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be frames per second, or {NATIVE}, got '{text}'"
        ) from error


def _options(arguments: argparse.Namespace) -> ExtractOptions:
    if arguments.workers is not None and (arguments.processes, arguments.ray) != (None, None):
        raise UsageError(
            "--workers are of one process, and each of --processes and of --ray decodes one video "
            "at a time: leave --workers out."
        )
    processes = worker_options(
        arguments.processes, arguments.stall_limit, arguments.ray, option="--processes"
    )
    chosen = _chosen(arguments)
    shard = None if arguments.shard is None else read_shard(arguments.shard, os.environ)
    videos = expand_videos(arguments.videos, tell=_tell(arguments.quiet))
    if shard is not None:
        # Names tell all videos apart, not those of the shard alone.
        videos = shard.of(videos)
    return ExtractOptions(
        videos=tuple(videos),
        output=arguments.output,
        config=_config(arguments, tuple(one.network for one in chosen)),
        weights=tuple(one.weights for one in chosen),
        device=arguments.device,
        num_threads=arguments.threads,
        batch_size=arguments.batch,
        num_workers=_USUAL_WORKERS if arguments.workers is None else arguments.workers,
        processes=processes,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )


def _tell(quiet: bool) -> Callable[[str], None]:
    return lambda sentence: None if quiet else say(_NAME, sentence)


def _chosen(arguments: argparse.Namespace) -> tuple[ChosenNetwork, ...]:
    """The backbones, each with its file of weights."""
    names = split_names(arguments.backbone)
    try:
        return choose_networks(
            names,
            arguments.weights or (),
            random_weights=arguments.random_weights,
            onnx=onnx_options(arguments, names),
            side=arguments.crop_size,
        )
    except ImportError as error:
        raise _missing(error) from error


def _config(arguments: argparse.Namespace, networks: tuple[Network, ...]) -> ExtractionConfig:
    stretched = arguments.resize == "stretch"
    return ExtractionConfig(
        networks=networks,
        frame_rate=arguments.frame_rate,
        snippet_length=arguments.snippet_length,
        snippet_stride=arguments.snippet_stride,
        short_side=arguments.crop_size if stretched else arguments.short_side,
        crop_size=arguments.crop_size,
        resize=arguments.resize,
        image_frames=arguments.image_frames,
        flow=arguments.flow,
        dtype=arguments.dtype,
    )


def _missing(error: ImportError) -> MissingExtraError:
    return MissingExtraError(f"Extracting features ({error.name})", "train")


def _require_packages() -> None:
    """Raise `MissingExtraError` where networks lack something; processes load it for themselves."""
    for name in ("torch", "safetensors"):
        if importlib.util.find_spec(name) is None:
            raise _missing(ImportError(name=name))


def _run(options: ExtractOptions) -> int:
    from wsgn.extraction.batch import BatchWatcher

    _require_packages()
    config = options.config
    if config.needs_flow:
        from wsgn.video.flow import load_opencv

        # What is missing must not be found out video by video.
        load_opencv(config.flow)
    pairs = zip(config.networks, options.weights, strict=True)
    if any(path is None and network.needs_weights for network, path in pairs):
        say(_NAME, "the weights are random: these features are for tests and timing only.")
    progress = Progress(quiet=options.quiet)
    watcher = BatchWatcher(
        on_video=progress.on_video,
        on_notice=progress.on_notice,
        on_snippets=progress.on_snippets,
    )
    try:
        result = _extracted(options, watcher)
    finally:
        progress.close()
    return _report(options.output, config, result)


def _extracted(options: ExtractOptions, watcher: BatchWatcher) -> Extraction:
    if options.processes is not None:
        from wsgn.extraction.processes import extract_in_processes

        return extract_in_processes(options, watcher)
    from wsgn.extraction.batch import extract_videos
    from wsgn.extraction.networks import open_networks

    networks = open_networks(
        options.config, options.weights, options.device, num_threads=options.num_threads
    )
    return extract_videos(
        options.videos,
        options.output,
        options.config,
        networks,
        batch_size=options.batch_size,
        num_workers=options.num_workers,
        overwrite=options.overwrite,
        watcher=watcher,
    )


def _report(folder: Path, config: ExtractionConfig, result: Extraction) -> int:
    """Say what became of the videos; the exit code."""
    counts = [
        f"{len(result.written)} extracted ({result.num_snippets} snippets)",
        f"{len(result.kept)} already there",
    ]
    if result.failed:
        counts.append(f"{len(result.failed)} failed")
    print_lines(f"features: {config.source}; {', '.join(counts)} -> {folder}")
    return report_failures(_NAME, result.failed, len(result.written) + len(result.kept))


if __name__ == "__main__":
    sys.exit(main())
