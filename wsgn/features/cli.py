"""`wsgn-convert`: features and annotations of any layout into the project's own files."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from wsgn.data.annotations import Annotations, write_annotations
from wsgn.errors import UsageError
from wsgn.features.annotation_layouts import read_any_annotations
from wsgn.features.convert import Conversion, convert_features
from wsgn.features.layouts import AUTO, LAYOUTS, native_sampling, open_features
from wsgn.features.reader import LOGGER, FeatureReader, TimeBase
from wsgn.manifest import Sampling
from wsgn.support.command import report_failures, run_command, say

_NAME = "wsgn-convert"
# What OpenTAD and ActionFormer cut, where the frame rates come from the annotations.
_NATIVE_LENGTH, _NATIVE_STRIDE = 16, 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 done, 2 usage, 3 unreadable input, 4 some videos failed, 6 output."""
    return run_command(
        _NAME,
        lambda: _run(_parser().parse_args(argv)),
        interrupted=lambda: "interrupted; run it again to go on.",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wsgn-convert",
        description="Convert features into one <video>.safetensors per video, with its time base, "
        "and annotations into ActivityNet-style JSON. Run again, it goes on where it stopped.",
    )
    parser.add_argument(
        "source", type=Path, nargs="?", help="folder of features, or the .npy of a W-TALC bundle"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the features")
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
        "--annotations",
        nargs="+",
        metavar="[SUBSET=]PATH",
        help="JSON, W-TALC's folder, or Charades' CSVs: only their videos are converted, with "
        "their durations (and frame rates, for the layout opentad)",
    )
    parser.add_argument(
        "--annotations-out", type=Path, metavar="FILE.json", help="write the annotations as JSON"
    )
    parser.add_argument(
        "--labels-from-segments", action="store_true", help="video-level labels out of the segments"
    )
    parser.add_argument("--overwrite", action="store_true", help="convert whole files again too")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    _require_task(arguments)
    annotations = None
    if arguments.annotations:
        annotations = read_any_annotations(
            arguments.annotations, labels_from_segments=arguments.labels_from_segments
        )
    if annotations is not None and arguments.annotations_out is not None:
        write_annotations(arguments.annotations_out, annotations)
        print(
            f"annotations: {len(annotations.videos)} videos, {len(annotations.classes)} classes "
            f"-> {arguments.annotations_out}",
            flush=True,
        )
    if arguments.source is None:
        return 0
    handler = _Notices()
    LOGGER.addHandler(handler)
    try:
        reader = _open(arguments, annotations)
        result = _convert(arguments, reader, annotations)
    finally:
        LOGGER.removeHandler(handler)
    return _report(arguments, reader, result)


def _require_task(arguments: argparse.Namespace) -> None:
    if (arguments.source is None) != (arguments.output is None):
        raise UsageError("features need both SOURCE and -o DIR.")
    if arguments.annotations_out is not None and not arguments.annotations:
        raise UsageError("--annotations-out needs --annotations, from which it is made.")
    if arguments.source is None and arguments.annotations_out is None:
        raise UsageError("nothing to do: give SOURCE and -o DIR, or --annotations-out FILE.json.")
    if arguments.source is not None and arguments.source.resolve() == arguments.output.resolve():
        raise UsageError("SOURCE and -o DIR are the same folder; name another one.")


def _open(arguments: argparse.Namespace, annotations: Annotations | None) -> FeatureReader:
    streams = tuple(name.strip() for name in arguments.streams.split(",") if name.strip())
    reader = open_features(
        arguments.source,
        layout=arguments.layout,
        sampling=_time_base(arguments, annotations),
        streams=streams,
    )
    if arguments.layout == AUTO:
        say(_NAME, f"{arguments.source} has the layout '{reader.layout}'.")
    return reader


def _time_base(arguments: argparse.Namespace, annotations: Annotations | None) -> TimeBase | None:
    given = (arguments.frame_rate, arguments.snippet_length, arguments.snippet_stride)
    if None not in given:
        rate, length, stride = given
        return Sampling(frame_rate=rate, snippet_length=length, snippet_stride=stride)
    if arguments.layout == "opentad" and arguments.frame_rate is None and annotations is not None:
        return native_sampling(
            annotations.videos,
            snippet_length=arguments.snippet_length or _NATIVE_LENGTH,
            snippet_stride=arguments.snippet_stride or _NATIVE_STRIDE,
        )
    if given != (None, None, None):
        raise UsageError(
            "--frame-rate, --snippet-length and --snippet-stride belong together: give all three."
        )
    return None


def _convert(
    arguments: argparse.Namespace, reader: FeatureReader, annotations: Annotations | None
) -> Conversion:
    with tqdm(desc="converting", unit="video", disable=arguments.quiet, file=sys.stderr) as bar:

        def on_video(total: int) -> None:
            bar.total = total
            bar.update()

        return convert_features(
            reader,
            arguments.output,
            videos=None if annotations is None else annotations.videos,
            dtype=arguments.dtype,
            overwrite=arguments.overwrite,
            on_video=on_video,
        )


def _report(arguments: argparse.Namespace, reader: FeatureReader, result: Conversion) -> int:
    """Say what became of the videos; the exit code."""
    counts = [f"{len(result.written)} converted", f"{len(result.kept)} already there"]
    if result.failed:
        counts.append(f"{len(result.failed)} failed")
    if result.num_without_features:
        counts.append(f"{result.num_without_features} annotated without features")
    if result.num_not_annotated:
        counts.append(f"{result.num_not_annotated} not annotated and left out")
    print(f"features: {reader.layout}, {', '.join(counts)} -> {arguments.output}", flush=True)
    return report_failures(_NAME, result.failed, len(result.written) + len(result.kept))


class _Notices(logging.Handler):
    """Shows notices above the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show one."""
        tqdm.write(f"{_NAME}: {record.getMessage()}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
