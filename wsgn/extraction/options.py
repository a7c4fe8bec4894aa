"""Options of `wsgn-features`."""

from __future__ import annotations

import argparse
from pathlib import Path

from wsgn.extraction.config import BACKBONES, CROP_SIZE, DTYPES, FLOW_METHODS, SHORT_SIDE

# Of `--frame-rate`: each video has its own.
NATIVE = "native"


def parser() -> argparse.ArgumentParser:
    """The parser of `wsgn-features`."""
    result = argparse.ArgumentParser(
        prog="wsgn-features",
        description="Extract features of videos into one <video>.safetensors per video, with its "
        "time base. Run again, it goes on where it stopped.",
    )
    result.add_argument(
        "videos", nargs="+", metavar="VIDEO", help="video file, folder, or pattern in quotes"
    )
    result.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    _add_network_options(result.add_argument_group("network"))
    _add_sampling_options(result.add_argument_group("sampling"))
    group = result.add_argument_group("run")
    group.add_argument(
        "--workers", type=int, default=2, help="videos decoded at a time (default: %(default)s)"
    )
    group.add_argument(
        "--batch", type=int, default=4, help="snippets in a call of the network (default: 4)"
    )
    group.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    group.add_argument("--threads", type=int, help="CPU threads of the network (default: all)")
    group.add_argument("--overwrite", action="store_true", help="extract finished videos again")
    group.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    return result


def _add_network_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--backbone",
        action="append",
        required=True,
        choices=tuple(BACKBONES),
        help="given twice (i3d-rgb, i3d-flow), the features stand behind each other",
    )
    group.add_argument(
        "--weights",
        action="append",
        type=Path,
        metavar="FILE.safetensors",
        help="of wsgn-weights convert; one for each --backbone, in their order",
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
    group.add_argument(
        "--crop", choices=("centre",), default="centre", help="which part of a picture (centre)"
    )
    group.add_argument("--short-side", type=int, default=SHORT_SIDE, help="pixels (default: 256)")
    group.add_argument("--crop-size", type=int, default=CROP_SIZE, help="pixels (default: 224)")


def _frame_rate(text: str) -> float | None:
    return None if text == NATIVE else float(text)
