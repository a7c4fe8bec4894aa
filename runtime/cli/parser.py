"""The command line's grammar; what the words mean is in options.py."""

from __future__ import annotations

from typing import Any

from wsgn import __version__
from wsgn.localization.online.alarms import WINDOW_SECONDS
from wsgn.remote.arguments import input_name, local_name, output_folder
from wsgn.support.parser import CommandParser
from wsgn.video.live.options import DROPS, RTSP_TRANSPORTS
from wsgn.workers.arguments import add_ray, add_shard, add_workers

from ..report.names import PAGE_FORMAT
from ..streaming.rules import SCORE_MODES
from ..writers import FORMATS

ROTATIONS = ("day", "hour", "never")

_DESCRIPTION = "Find actions in videos with an exported engine."
_EPILOG = """\
subcommands:
  wsgn-run manifest ENGINE   show what an engine says about itself
  wsgn-run probe SOURCE      show what a source is
  wsgn-run doctor            show versions and devices, and what is wrong with them
  wsgn-run merge DIR         join what the shards of a run left in a folder
  wsgn-run golden ENGINE     write an engine's input and outputs, for hosts of your own
  wsgn-run report RESULTS    make pages to look at, of results that exist
  wsgn-run export RESULT     write results as files of ELAN, Label Studio and other tools
  wsgn-run clips RESULT VIDEO  cut what was found out of a video, or burn labels into it
  (a file of such a name is reached as ./manifest)

Results go to stdout (a table on a terminal, JSON lines when piped), words to stderr.
exit codes: 0 done, 2 usage, 3 no input could be processed, 4 some inputs failed (or came out
incomplete, with --strict), 5 engine, 6 output, 129, 130 and 143 stopped by a signal, 1 unexpected.
"""


def build_parser() -> CommandParser:
    """The parser of `wsgn-run`, without its subcommands."""
    parser = CommandParser(
        prog="wsgn-run",
        usage="%(prog)s SOURCE ... --engine FILE [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="video file, directory, glob, list file (.txt or @FILE, one source per line), "
        "- for stdin; or live: rtsp://..., another stream's address, /dev/video0, cameras.toml; "
        "of an engine on features their files, folders and bundles",
    )
    _add_engine(parser.add_argument_group("engine"))
    _add_detection(parser.add_argument_group("detection (defaults come with the engine)"))
    _add_input(parser.add_argument_group("input"))
    _add_live(parser.add_argument_group("live sources (docs/live.md)"))
    _add_output(parser.add_argument_group("output"))
    _add_notify(parser.add_argument_group("notifications (docs/notify.md)"))
    _add_run(parser.add_argument_group("run"))
    return parser


def _add_engine(group: Any) -> None:
    group.add_argument(
        "-e", "--engine", metavar="FILE", help="engine, .onnx or .plan; or demo, the packaged one"
    )
    group.add_argument(
        "--device",
        metavar="NAME",
        help="where the engine runs: cpu, cuda[:N], openvino[:cpu|gpu|npu], coreml, dml[:N]; never "
        "falls back to another (default: cpu for .onnx, cuda:0 for .plan)",
    )
    group.add_argument(
        "--threads", type=int, metavar="N", help="threads of the engine (default: cores - 1)"
    )
    group.add_argument(
        "--kernels",
        type=local_name,
        metavar="DIR",
        help="score whole sources on the GPU, by kernels of export/to_cubin.py (default: NumPy)",
    )


def _add_detection(group: Any) -> None:
    group.add_argument(
        "--scores",
        choices=SCORE_MODES,
        help="what scores are relative to: the whole source, what has passed, or a window "
        "(default: exact; of live sources a window)",
    )
    group.add_argument(
        "--window",
        type=float,
        metavar="S",
        help=f"seconds of --scores window (default of live sources: {WINDOW_SECONDS:g})",
    )
    group.add_argument(
        "--labels",
        metavar="A,B",
        action="append",
        help="report these classes only; may be given several times, for names with commas too",
    )
    _add_thresholds(group)
    group.add_argument(
        "--min-duration", type=float, metavar="S", help="only segments longer than this"
    )
    group.add_argument(
        "--merge-gap", type=float, metavar="S", help="join segments of a class closer than this"
    )
    group.add_argument(
        "--max-duration",
        type=float,
        metavar="S",
        help="cut segments at this; at many thresholds leave longer ones out",
    )


def _add_thresholds(group: Any) -> None:
    group.add_argument(
        "--threshold",
        type=input_name,
        metavar="X|FILE",
        help="score above which a segment opens: a number, or a JSON file {label: number}; of the "
        "classes named it takes the place of the engine's own rule",
    )
    group.add_argument(
        "--own-thresholds",
        action="store_true",
        help="open segments of streams at the engine's own thresholds, not at those for alarms",
    )
    group.add_argument(
        "--exit-threshold",
        type=float,
        metavar="X",
        help="score at or below which it ends; in exact mode engines that cut at many thresholds "
        "want --threshold with it",
    )
    group.add_argument(
        "--min-score", type=float, metavar="X", help="only segments that score at least this"
    )


def _add_input(group: Any) -> None:
    group.add_argument(
        "--start", metavar="T", help="begin here: seconds, or [HH:]MM:SS, from the first frame"
    )
    group.add_argument("--end", metavar="T", help="end here")
    group.add_argument("--stream", type=int, metavar="N", help="number of the video stream, from 0")
    group.add_argument(
        "--input-rate",
        metavar="R",
        help="frames per second of the source, in place of the times in it (raw streams have "
        "none); of features that hold no time base, in place of the engine's",
    )
    group.add_argument(
        "--layout",
        metavar="NAME",
        help="of features, where it is not to be seen from what lies there (docs/datasets.md)",
    )
    group.add_argument(
        "--streams", metavar="S,S", help="of features: rgb, flow, motion (default: all)"
    )


def _add_live(group: Any) -> None:
    group.add_argument(
        "--realtime", action="store_true", help="play files by their times, as if they were live"
    )
    group.add_argument(
        "--timeout",
        type=float,
        metavar="S",
        help="silence after which a source counts as lost (default: 10)",
    )
    group.add_argument(
        "--reconnect",
        type=int,
        metavar="N",
        help="attempts in a row without a picture before a source is given up (default: for ever)",
    )
    group.add_argument(
        "--rtsp-transport", choices=RTSP_TRANSPORTS, help="how RTSP is carried (default: tcp)"
    )
    group.add_argument(
        "--drop",
        choices=DROPS,
        help="what waits longer than --max-lag is dropped, or never is (default: oldest)",
    )
    group.add_argument(
        "--max-lag",
        type=float,
        metavar="S",
        help="how far results may lie behind the picture (default: 3)",
    )
    group.add_argument(
        "--source-name",
        metavar="NAME",
        action="append",
        help="what a source is called, once per source, in their order (default: host and path)",
    )
    group.add_argument(
        "--source-options",
        metavar="KEY=VALUE,...",
        action="append",
        help="options of FFmpeg's libraries for every source, as a last resort",
    )


def _add_output(group: Any) -> None:
    group.add_argument(
        "-o",
        "--output",
        type=output_folder,
        metavar="DIR",
        help="write files here, named like sources; s3://bucket/dir uploads them",
    )
    group.add_argument(
        "-f",
        "--format",
        metavar="F,F",
        help=f"their formats, of {','.join((*FORMATS, PAGE_FORMAT))} (default: jsonl)",
    )
    group.add_argument(
        "--save-scores", action="store_true", help="also write frame scores (NAME.scores.npz)"
    )
    either = group.add_mutually_exclusive_group()
    either.add_argument("--overwrite", action="store_true", help="replace files that exist")
    either.add_argument("--resume", action="store_true", help="skip sources whose files exist")
    group.add_argument(
        "--state",
        type=local_name,
        metavar="DIR",
        help="keep what was learned of each live source here, and go on from there the next time",
    )
    group.add_argument(
        "--rotate",
        choices=ROTATIONS,
        help="begin a new file of a live source each day or hour (UTC), or never (default: day)",
    )
    group.add_argument(
        "--clips",
        type=local_name,
        metavar="DIR",
        help="write a clip of each segment of a live source here",
    )
    group.add_argument(
        "--clip-padding",
        type=float,
        metavar="S",
        help="seconds before and behind the segment in these clips (default: 1)",
    )
    group.add_argument(
        "--serve",
        metavar="[HOST:]PORT",
        help="a live page at this port, with metrics and what other programs ask; other machines "
        "than this one (0.0.0.0:PORT) look on with the token in WSGN_TOKEN",
    )


def _add_notify(group: Any) -> None:
    group.add_argument(
        "--notify",
        metavar="URL",
        action="append",
        help="send events as they come to a web server (https://...) or to an MQTT broker "
        "(mqtts://BROKER/PREFIX, mqtt://...); may be given several times",
    )
    group.add_argument(
        "--notify-min-score",
        type=float,
        metavar="X",
        help="send only segments that score at least this, and no starts, which have no score yet",
    )
    group.add_argument(
        "--notify-http",
        action="store_true",
        help="also send to http:// addresses of other machines, which anybody between may read",
    )


def _add_run(group: Any) -> None:
    group.add_argument(
        "--demo",
        action="store_true",
        help="run the packaged engine on its sample; with -o DIR also write a page of it",
    )
    group.add_argument(
        "--strict",
        action="store_true",
        help="exit with 4 when a result is incomplete (sources that --resume skips are not judged)",
    )
    add_shard(group, "source")
    add_workers(group, "--workers", "source")
    add_ray(group, "--workers", "source")
    group.add_argument("--fail-fast", action="store_true", help="stop at the first failed source")
    group.add_argument("--dry-run", action="store_true", help="check everything, decode nothing")
    group.add_argument("-q", "--quiet", action="store_true", help="only results and errors")
    group.add_argument("-v", "--verbose", action="store_true", help="more words, and tracebacks")
    group.add_argument("--no-progress", action="store_true", help="no progress bar")
    group.add_argument("--version", action="version", version=f"wsgn-run {__version__}")
