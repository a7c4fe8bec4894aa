"""`wsgn-convert`: features and annotations of any layout into the project's own files."""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from wsgn.data.annotations import Annotations, write_annotations
from wsgn.data.split import SplitOptions, split_annotations
from wsgn.errors import UsageError
from wsgn.features.annotation_layouts import read_any_annotations
from wsgn.features.arguments import features_path, stream_names
from wsgn.features.convert import (
    AnnotationOptions,
    Conversion,
    ConvertOptions,
    TargetOptions,
    convert_features,
)
from wsgn.features.layouts import AUTO, LAYOUTS, open_features
from wsgn.features.options import NATIVE, FeatureOptions, FrameRate
from wsgn.features.reader import LOGGER
from wsgn.remote.addresses import shown
from wsgn.remote.arguments import input_behind, output_file, output_folder
from wsgn.support.command import report_failures, run_command, say
from wsgn.support.parser import CommandParser, size_in_bytes
from wsgn.support.progress import progress_bar
from wsgn.support.terminal import print_lines, say_above_bars

_NAME = "wsgn-convert"
_MOST_FRAME_RATE = 1000
# What OpenTAD and ActionFormer cut, where the frame rates come from the annotations.
_NATIVE_LENGTH, _NATIVE_STRIDE = 16, 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 done, 2 usage, 3 unreadable input, 4 some videos failed, 6 output."""
    return run_command(
        _NAME,
        lambda: _run(_options(_parser().parse_args(argv))),
        interrupted=lambda: "interrupted; run it again to go on.",
    )


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="wsgn-convert",
        description="Convert features into one <video>.safetensors per video, with its time base, "
        "or into packs of many (--pack), and annotations into ActivityNet-style JSON. Run again, "
        "it goes on where it stopped.",
    )
    parser.add_argument(
        "source",
        type=features_path,
        nargs="?",
        help="folder of features, or the .npy of a W-TALC bundle",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=output_folder,
        metavar="DIR",
        help="folder for the features, or its address (s3://...)",
    )
    parser.add_argument(
        "--layout", choices=(AUTO, *LAYOUTS), default=AUTO, help="of SOURCE (default: by its files)"
    )
    parser.add_argument("--frame-rate", type=float, help="frames per second of the features")
    parser.add_argument("--snippet-length", type=int, help="frames in a snippet")
    parser.add_argument("--snippet-stride", type=int, help="frames between snippets")
    parser.add_argument(
        "--streams", default="", metavar="rgb,flow", help="or rgb, or flow (default: all there are)"
    )
    parser.add_argument(
        "--dtype", choices=("float16", "float32"), help="of the values (default: the source's)"
    )
    parser.add_argument(
        "--pack",
        type=size_in_bytes,
        metavar="SIZE",
        help="many videos in a tar file of this size, such as 1GB, with an index, in place of a "
        "file for each: for 100,000 videos and object stores",
    )
    _add_annotations(parser)
    _add_split(parser)
    parser.add_argument("--overwrite", action="store_true", help="convert whole files again too")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    return parser


def _add_annotations(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--annotations",
        type=lambda text: input_behind("=", text),
        nargs="+",
        metavar="[SUBSET=]PATH",
        help="JSON, a table (CSV), a folder for each class, files of ELAN, Label Studio or VIA, "
        "W-TALC's folder, or Charades' CSVs: only their videos are converted, with "
        "their durations (and frame rates, for the layout opentad)",
    )
    parser.add_argument(
        "--annotations-frame-rate",
        type=float,
        metavar="R",
        help="frames per second of videos whose annotations count frames and do not say (Label "
        "Studio)",
    )
    parser.add_argument(
        "--annotations-out",
        type=output_file,
        metavar="FILE.json",
        help="write the annotations as JSON",
    )
    parser.add_argument(
        "--labels-from-segments", action="store_true", help="video-level labels out of the segments"
    )


def _add_split(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--share",
        type=_share,
        action="append",
        metavar="SUBSET=SHARE",
        help="draw subsets anew, such as test=0.2; the other videos are of 'train'",
    )
    parser.add_argument(
        "--group-by",
        metavar="PATTERN",
        help="keep videos together in whose names this regular expression finds the same, such as "
        "the person or the camera (default: the column 'group' of a table)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of --share (default: 0)")


def _options(arguments: argparse.Namespace) -> ConvertOptions:
    _require_task(arguments)
    annotations = features = None
    if arguments.annotations:
        annotations = AnnotationOptions(
            items=tuple(arguments.annotations),
            labels_from_segments=arguments.labels_from_segments,
            frame_rate=arguments.annotations_frame_rate,
            output=arguments.annotations_out,
            split=_split(arguments),
        )
    if arguments.source is not None:
        features = TargetOptions(
            source=_source(arguments),
            output=arguments.output,
            dtype=arguments.dtype,
            overwrite=arguments.overwrite,
            pack_bytes=arguments.pack,
        )
    return ConvertOptions(annotations=annotations, features=features, quiet=arguments.quiet)


def _share(text: str) -> tuple[str, float]:
    subset, _, share = text.rpartition("=")
    try:
        return subset, float(share)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be SUBSET=SHARE, got '{text}'") from error


def _split(arguments: argparse.Namespace) -> SplitOptions | None:
    if not arguments.share:
        if arguments.group_by is not None:
            raise UsageError("--group-by needs --share, such as --share test=0.2.")
        return None
    return SplitOptions(
        shares=dict(arguments.share), group_pattern=arguments.group_by, seed=arguments.seed
    )


def _require_task(arguments: argparse.Namespace) -> None:
    if (arguments.source is None) != (arguments.output is None):
        raise UsageError("features need both SOURCE and -o DIR.")
    if arguments.pack is not None and arguments.source is None:
        raise UsageError("--pack is for features: give SOURCE and -o DIR.")
    rate = arguments.annotations_frame_rate
    if rate is not None and not 0 < rate <= _MOST_FRAME_RATE:
        raise UsageError(
            f"--annotations-frame-rate must be over 0 and at most {_MOST_FRAME_RATE}, got {rate:g}."
        )
    if arguments.annotations_out is not None and not arguments.annotations:
        raise UsageError("--annotations-out needs --annotations, from which it is made.")
    if arguments.source is None and arguments.annotations_out is None:
        raise UsageError("nothing to do: give SOURCE and -o DIR, or --annotations-out FILE.json.")
    source = arguments.source
    if isinstance(source, Path) and source.resolve() == arguments.output.resolve():
        raise UsageError("SOURCE and -o DIR are the same folder; name another one.")


def _source(arguments: argparse.Namespace) -> FeatureOptions:
    rate: FrameRate | None = arguments.frame_rate
    length, stride = arguments.snippet_length, arguments.snippet_stride
    given = [value is not None for value in (rate, length, stride)]
    if arguments.layout == "opentad" and rate is None and arguments.annotations:
        rate, length, stride = NATIVE, length or _NATIVE_LENGTH, stride or _NATIVE_STRIDE
    elif any(given) and not all(given):
        raise UsageError(
            "--frame-rate, --snippet-length and --snippet-stride belong together: give all three."
        )
    return FeatureOptions(
        path=arguments.source,
        layout=arguments.layout,
        frame_rate=rate,
        snippet_length=length,
        snippet_stride=stride,
        streams=stream_names(arguments.streams),
    )


def _run(options: ConvertOptions) -> int:
    handler = _Notices()
    LOGGER.addHandler(handler)
    try:
        annotations = None if options.annotations is None else _annotations(options.annotations)
        if options.features is None:
            return 0
        return _convert(options.features, annotations, quiet=options.quiet)
    finally:
        LOGGER.removeHandler(handler)


def _annotations(options: AnnotationOptions) -> Annotations:
    """Read them, and write them where that is asked for."""
    annotations = read_any_annotations(
        options.items,
        labels_from_segments=options.labels_from_segments,
        frame_rate=options.frame_rate,
    )
    if options.split is not None:
        annotations = split_annotations(annotations, options.split)
    if options.output is not None:
        write_annotations(options.output, annotations)
        subsets = Counter(video.subset for video in annotations.videos)
        counts = ", ".join(f"{count} {name}" for name, count in subsets.items())
        print_lines(
            f"annotations: {len(annotations.videos)} videos ({counts}), "
            f"{len(annotations.classes)} classes -> {options.output}",
        )
    return annotations


def _convert(target: TargetOptions, annotations: Annotations | None, *, quiet: bool) -> int:
    videos = None if annotations is None else annotations.videos
    source = target.source
    reader = open_features(
        source.path,
        layout=source.layout,
        sampling=source.time_base(videos or ()),
        streams=source.streams,
    )
    if source.layout == AUTO:
        hint = " (if it is of OpenTAD, add --layout opentad)" if reader.layout == "npy" else ""
        say(_NAME, f"{shown(str(source.path))} has the layout '{reader.layout}'{hint}.")
    with progress_bar(wanted=not quiet, desc="converting", unit="video") as bar:

        def on_video(total: int) -> None:
            bar.total = total
            bar.update()

        result = convert_features(
            reader,
            target.output,
            videos=videos,
            dtype=target.dtype,
            overwrite=target.overwrite,
            pack_bytes=target.pack_bytes,
            on_video=on_video,
        )
    return _report(reader.layout, target.output, result)


def _report(layout: str, folder: Path, result: Conversion) -> int:
    """Say what became of the videos; the exit code."""
    counts = [f"{len(result.written)} converted", f"{len(result.kept)} already there"]
    if result.failed:
        counts.append(f"{len(result.failed)} failed")
    if result.num_without_features:
        counts.append(f"{result.num_without_features} annotated without features")
    if result.num_not_annotated:
        counts.append(f"{result.num_not_annotated} not annotated and left out")
    print_lines(f"features: {layout}, {', '.join(counts)} -> {folder}")
    return report_failures(_NAME, result.failed, len(result.written) + len(result.kept))


class _Notices(logging.Handler):
    """Shows notices above the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show one."""
        say_above_bars(f"{_NAME}: {record.getMessage()}")


if __name__ == "__main__":
    sys.exit(main())
