"""Arguments that several commands share: they are added to a parser here, and read from it.

Like a `cli.py`, this file knows argparse; nothing but those files imports it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from wsgn.config import CACHES
from wsgn.errors import UsageError
from wsgn.features.layouts import AUTO, LAYOUTS
from wsgn.features.options import (
    NATIVE,
    CacheOptions,
    DataOptions,
    FeatureOptions,
    FrameRate,
    VideoOptions,
)
from wsgn.manifest import Sampling
from wsgn.remote.addresses import is_address
from wsgn.remote.arguments import local_path

# More than any machine has.
_MOST_GIB = 2**20


def add_data_source(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """`--videos` or `--features`, one of which must be given."""
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--videos", type=local_path, metavar="DIR", help="folder of video files")
    data.add_argument(
        "--features",
        type=features_path,
        metavar="PATH",
        help="feature files, any layout, or s3://BUCKET/FOLDER",
    )


def add_video_memory(group: argparse._ArgumentGroup) -> None:
    """The option for the memory that decoded videos may take."""
    group.add_argument(
        "--video-memory",
        type=float,
        default=VideoOptions.memory_bytes / 2**30,
        metavar="GIB",
        help="GiB of decoded videos that are kept; others are decoded again",
    )


def add_cache(group: argparse._ArgumentGroup) -> None:
    """The options for the memory that features of a training may take."""
    group.add_argument(
        "--cache",
        choices=CACHES,
        help="where features that were read stay, as they are stored (default: ram, on a GPU "
        "device)",
    )
    group.add_argument(
        "--cache-memory",
        type=float,
        default=CacheOptions.limit_bytes / 2**30,
        metavar="GIB",
        help="GiB of them, in each process; others are read anew in every step "
        "(default: %(default)g)",
    )


def cache_options(arguments: argparse.Namespace) -> CacheOptions:
    """What the options of `add_cache` say."""
    limit_bytes = _bytes("--cache-memory", arguments.cache_memory)
    return CacheOptions(place=arguments.cache, limit_bytes=limit_bytes)


def _bytes(flag: str, gib: float) -> int:
    if not 0 <= gib <= _MOST_GIB:
        raise UsageError(f"{flag} must be 0 to {_MOST_GIB} (GiB), got {gib:g}.")
    return int(gib * 2**30)


def add_feature_options(group: argparse._ArgumentGroup, *, videos: Sampling | None = None) -> None:
    """Options for the layout and the time base of features.

    In a command that samples videos too, `videos` is how it does so by default.
    """
    rate = length = stride = ""
    if videos is not None:
        rate = f"; of --videos {videos.frame_rate:g} by default"
        length = f" (default for --videos: {videos.snippet_length})"
        stride = f" (default for --videos: {videos.snippet_stride})"
    group.add_argument(
        "--layout", choices=(AUTO, *LAYOUTS), default=AUTO, help="of --features (default: auto)"
    )
    group.add_argument(
        "--frame-rate",
        type=frame_rate,
        help="frames per second, or 'native' for those in the annotations; features that carry "
        f"their time base need none of these three{rate}",
        metavar="FPS",
    )
    group.add_argument(
        "--skip-missing",
        action="store_true",
        help="leave out videos without features",
    )
    group.add_argument(
        "--only-present",
        action="store_true",
        help="leave them out of the scores too, where they count as missed else",
    )
    group.add_argument("--snippet-length", type=int, help=f"frames in a snippet{length}")
    group.add_argument("--snippet-stride", type=int, help=f"frames between snippets{stride}")


def add_streams(group: argparse._ArgumentGroup) -> None:
    """The option for the streams of features."""
    group.add_argument(
        "--streams",
        help="of the features: rgb, flow, motion, or several with commas (default: all)",
    )


def data_options(arguments: argparse.Namespace) -> DataOptions:
    """What the options of `add_data_source`, `add_video_memory` and `add_feature_options` say.

    Those of `add_streams` count where a command has them. Raises `UsageError` for a time base of
    features that is not whole.
    """
    if arguments.features is None:
        memory_bytes = _bytes("--video-memory", arguments.video_memory)
        return VideoOptions(folder=arguments.videos, memory_bytes=memory_bytes)
    return FeatureOptions(
        path=arguments.features,
        layout=arguments.layout,
        frame_rate=arguments.frame_rate,
        snippet_length=arguments.snippet_length,
        snippet_stride=arguments.snippet_stride,
        streams=stream_names(getattr(arguments, "streams", None)),
        skip_missing=arguments.skip_missing,
        only_present=arguments.only_present,
    )


def features_path(text: str) -> Path | str:
    """A path; an address as it is."""
    return text if is_address(text) else Path(text)


def frame_rate(text: str) -> FrameRate:
    """A number, or 'native'."""
    try:
        return NATIVE if text == NATIVE else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be frames per second, or {NATIVE}, got '{text}'"
        ) from error


def stream_names(text: str | None) -> tuple[str, ...]:
    """The streams of `--streams`; empty means all."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
