"""`wsgn-features`: features of videos by a published network, one file per video."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsgn.errors import MissingExtraError, UsageError
from wsgn.extraction.config import BACKBONES, ExtractionConfig, Network
from wsgn.extraction.options import parser
from wsgn.extraction.progress import Progress
from wsgn.extraction.videos import expand_videos
from wsgn.support.command import report_failures, run_command, say

if TYPE_CHECKING:
    from wsgn.extraction.batch import Extraction

_NAME = "wsgn-features"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 done, 2 usage, 3 unreadable input, 4 some videos failed, 6 output."""
    return run_command(
        _NAME,
        lambda: _run(parser().parse_args(argv)),
        interrupted=lambda: "interrupted; run it again to go on.",
    )


def _run(arguments: argparse.Namespace) -> int:
    weights = _weights(arguments)
    videos = expand_videos(arguments.videos)
    try:
        from wsgn.extraction.batch import BatchWatcher, extract_videos
        from wsgn.extraction.networks import file_sha256, open_networks
    except ImportError as error:
        raise MissingExtraError(f"Extracting features ({error.name})", "train") from error
    config = _config(arguments, [None if path is None else file_sha256(path) for path in weights])
    if config.needs_flow:
        from wsgn.extraction.flow import load_opencv

        # What is missing must not be found out video by video.
        load_opencv(config.flow)
    networks = open_networks(config, weights, arguments.device, num_threads=arguments.threads)
    if arguments.random_weights:
        say(_NAME, "the weights are random: these features are for tests and timing only.")
    progress = Progress(quiet=arguments.quiet)
    try:
        result = extract_videos(
            videos,
            arguments.output,
            config,
            networks,
            batch_size=arguments.batch,
            num_workers=arguments.workers,
            overwrite=arguments.overwrite,
            watcher=BatchWatcher(
                on_video=progress.on_video,
                on_notice=progress.on_notice,
                on_snippets=progress.on_snippets,
            ),
        )
    finally:
        progress.close()
    return _report(arguments.output, config, result)


def _weights(arguments: argparse.Namespace) -> list[Path | None]:
    """A file for each backbone; nothing for random weights."""
    num_backbones, given = len(arguments.backbone), arguments.weights or []
    if arguments.random_weights:
        if given:
            raise UsageError("--weights and --random-weights exclude each other.")
        return [None] * num_backbones
    if len(given) != num_backbones:
        raise UsageError(
            f"{num_backbones} --backbone need as many --weights, got {len(given)}: convert "
            "published weights with wsgn-weights (--random-weights is for tests and timing)."
        )
    return list(given)


def _config(arguments: argparse.Namespace, checksums: Sequence[str | None]) -> ExtractionConfig:
    return ExtractionConfig(
        networks=tuple(
            Network(name=name, config=BACKBONES[name], weights_sha256=checksum)
            for name, checksum in zip(arguments.backbone, checksums, strict=True)
        ),
        frame_rate=arguments.frame_rate,
        snippet_length=arguments.snippet_length,
        snippet_stride=arguments.snippet_stride,
        short_side=arguments.short_side,
        crop_size=arguments.crop_size,
        flow=arguments.flow,
        dtype=arguments.dtype,
    )


def _report(folder: Path, config: ExtractionConfig, result: Extraction) -> int:
    """Say what became of the videos; the exit code."""
    counts = [
        f"{len(result.written)} extracted ({result.num_snippets} snippets)",
        f"{len(result.kept)} already there",
    ]
    if result.failed:
        counts.append(f"{len(result.failed)} failed")
    print(f"features: {config.source}; {', '.join(counts)} -> {folder}", flush=True)
    return report_failures(_NAME, result.failed, len(result.written) + len(result.kept))


if __name__ == "__main__":
    sys.exit(main())
