"""What a run over many videos, or of many cameras, will take; and 1,000 workers that fail.

    python -m benchmarks.scale predict
    python -m benchmarks.scale predict --cameras 1000
    python -m benchmarks.scale measure -o mine.json
    python -m benchmarks.scale validate --constants mine.json
    python -m benchmarks.scale simulate --workers 1000 --jobs 100000

`measure` times small runs on this machine, `predict` puts what it found together for machines that
a file describes, `validate` holds it against runs of other kinds, and `simulate` lets the scheduler
of `--workers` hand out jobs to workers that crash, hang and die, on a clock that does not wait.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.results import add_output, publish, write_results
from benchmarks.scale.constants import MEASURED, Constants, constants_of, read_constants
from benchmarks.scale.machines import EXAMPLE, read_places
from benchmarks.scale.model import FORMS, RAY, Faults, Footage, Lengths, Network, Workload
from wsgn.errors import InputError, UsageError
from wsgn.support.command import run_command, say
from wsgn.support.files import write_whole_file
from wsgn.support.json_input import read_object

_NAME = "benchmarks.scale"
_MOST_JOBS, _MOST_WORKERS = 10_000_000, 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the subcommands."""
    return run_command(_NAME, lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {_NAME}", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_measure(commands)
    _add_predict(commands)
    _add_validate(commands)
    _add_simulate(commands)
    return parser


def _add_measure(commands: Any) -> None:
    parser = commands.add_parser("measure", help="time small runs here, and write the constants")
    add = parser.add_argument
    add("-o", "--output", type=Path, metavar="FILE", required=True, help="the constants, as JSON")
    add("--repeats", type=int, default=5, help="of everything (default: %(default)s)")
    add("--videos", type=int, default=300, help="short ones (default: %(default)s)")
    add("--seconds", type=int, default=60, help="of long videos (default: %(default)s)")
    add("--cameras", type=int, default=12, help="0 leaves them out (default: %(default)s)")
    add("--machine", metavar="WORDS", help="how this machine is called in what is predicted")
    add("--quick", action="store_true", help="as little as can be, to see that it works")


def _add_predict(commands: Any) -> None:
    parser = commands.add_parser("predict", help="hours and price, on machines that you describe")
    add = parser.add_argument
    _add_constants(parser)
    add("--machines", type=Path, default=EXAMPLE, metavar="FILE",
        help="machines and store (default: benchmarks/scale/machines.toml)")  # fmt: skip
    add("--videos", type=int, default=100_000, help="(default: %(default)s)")
    add("--mean-seconds", type=float, nargs="+", default=[30.0, 180.0], metavar="S",
        help="of a video (default: 30 180)")  # fmt: skip
    add("--spread", type=float, default=0.88,
        help="of the logarithm of lengths (default: %(default)s, THUMOS14's)")  # fmt: skip
    add("--lengths", type=Path, metavar="FILE",
        help="annotations with durations, from which lengths are drawn instead")  # fmt: skip
    add("--workers", type=int, nargs="+", default=[1, 64, 1000], metavar="N",
        help="in all (default: 1 64 1000)")  # fmt: skip
    add("--forms", nargs="+", default=["workers"], metavar="FORM",
        help="workers, shards, ray (default: workers)")  # fmt: skip
    add("--ray-start", type=float, metavar="S", help="of Ray, for --forms ray")
    add("--ray-video", type=float, metavar="S", help="more of a video by Ray, for --forms ray")
    add("--cameras", type=int, nargs="+", default=[], metavar="N",
        help="predict so many cameras, and no videos")  # fmt: skip
    add("--most-load", type=float, default=0.7, metavar="SHARE",
        help="of the cores, for cameras (default: %(default)s)")  # fmt: skip
    add("--size", default="640x360", metavar="WxH", help="of pictures (default: %(default)s)")
    add("--frames-per-second", type=float, default=25.0, help="(default: %(default)s)")
    add("--megabits", type=float, default=1.0, help="of a second (default: %(default)s)")
    add("--engine-ms", type=float, metavar="MS",
        help="of a snippet of your engine, one thread (default: the packaged one's)")  # fmt: skip
    add("--snippets-per-second", type=float, help="of your engine (default: the packaged one's)")
    add("--on-features", action="store_true", help="the videos' features lie in files")
    _add_faults(parser, crash=1e-4, hang=1e-5)
    add("--draws", type=int, default=20, help="(default: %(default)s)")
    add("--seed", type=int, default=0, help="(default: %(default)s)")
    add("--json", action="store_true", help="print it for programs")
    add_output(parser)


def _add_validate(commands: Any) -> None:
    parser = commands.add_parser("validate", help="hold the constants against other runs here")
    _add_constants(parser)
    parser.add_argument("--repeats", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--films", type=Path, metavar="FOLDER", help="of real videos, run as well")
    add_output(parser)


def _add_simulate(commands: Any) -> None:
    parser = commands.add_parser("simulate", help="the scheduler on workers that fail")
    add = parser.add_argument
    add("--workers", type=int, default=1000, help="(default: %(default)s)")
    add("--jobs", type=int, default=100_000, help="(default: %(default)s)")
    add("--mean-seconds", type=float, default=30.0, help="of a job (default: %(default)s)")
    add("--spread", type=float, default=0.88, help="of its logarithm (default: %(default)s)")
    add("--news-seconds", type=float, default=20.0,
        help="between two words of a worker (default: %(default)s)")  # fmt: skip
    _add_faults(parser, crash=1e-3, hang=1e-4)
    add("--node-failures", type=float, default=0.02, metavar="RATE",
        help="of a machine and hour (default: %(default)s)")  # fmt: skip
    add("--cores", type=int, default=64, help="workers on a machine (default: %(default)s)")
    add("--restart", type=float, default=120.0, metavar="S",
        help="until a machine is replaced (default: %(default)s)")  # fmt: skip
    add("--start-seconds", type=float, default=5.0,
        help="until a worker is ready (default: %(default)s)")  # fmt: skip
    add("--seed", type=int, default=0, help="(default: %(default)s)")
    add_output(parser)


def _add_constants(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--constants", type=Path, default=MEASURED, metavar="FILE",
                        help="of `measure` (default: those in the checkout)")  # fmt: skip


def _add_faults(parser: argparse.ArgumentParser, *, crash: float, hang: float) -> None:
    add = parser.add_argument
    add("--crash", type=float, default=crash, metavar="P",
        help="of a video, to kill its process (default: %(default)s)")  # fmt: skip
    add("--hang", type=float, default=hang, metavar="P",
        help="of a video, to be silent for ever (default: %(default)s)")  # fmt: skip
    add("--stall-limit", type=float, default=600.0, metavar="S", help="(default: %(default)s)")


def _run(arguments: argparse.Namespace) -> int:
    _require(arguments)
    return {
        "measure": _measure,
        "predict": _predict,
        "validate": _validate,
        "simulate": _simulate,
    }[arguments.command](arguments)


def _require(arguments: argparse.Namespace) -> None:
    """Raise `UsageError` for numbers that mean nothing."""
    for name, value in vars(arguments).items():
        option = f"--{name.replace('_', '-')}"
        values = value if isinstance(value, list) else [value]
        numbers = [one for one in values if isinstance(one, int | float)]
        if any(not math.isfinite(one) or one < 0 for one in numbers):
            raise UsageError(f"{option} must be a number of at least 0.")
        if name in _POSITIVE and any(one <= 0 for one in numbers):
            raise UsageError(f"{option} must be above 0.")
        if name in ("videos", "jobs") and value > _MOST_JOBS:
            raise UsageError(f"{option} may be {_MOST_JOBS:,} at most, got {value:,}.")


_POSITIVE = (
    "repeats", "videos", "jobs", "workers", "draws", "mean_seconds", "seconds", "cores",
    "frames_per_second", "engine_ms", "snippets_per_second", "news_seconds", "most_load",
    "stall_limit",
)  # fmt: skip


def _measure(arguments: argparse.Namespace) -> int:
    # Before NumPy's libraries are loaded: a core is measured, not a machine.
    os.environ["OMP_NUM_THREADS"] = "1"
    from benchmarks.scale.fit import Amounts, fit
    from benchmarks.scale.measure import measure

    if arguments.videos < 2 or arguments.cameras == 1:
        raise UsageError("--videos and --cameras must be at least 2: differences are measured.")
    amounts = Amounts(
        repeats=arguments.repeats,
        videos=arguments.videos,
        features=arguments.videos,
        long_seconds=arguments.seconds,
        cameras=arguments.cameras,
        camera_rounds=min(3, arguments.repeats),
    )
    if arguments.quick:
        amounts = Amounts(
            repeats=1, videos=3, features=0, long_seconds=4, decode_seconds=1, cameras=0
        )
    with tempfile.TemporaryDirectory(prefix="wsgn-scale-") as folder:
        timings, rate = measure(Path(folder), amounts, lambda words: say(_NAME, words))
    constants = constants_of(
        fit(timings, amounts, rate),
        repeats=amounts.repeats,
        machine=arguments.machine or f"{os.cpu_count()} cores",
        snippets_per_second=rate,
    )
    text = json.dumps(asdict(constants), indent=1, allow_nan=False)
    write_whole_file(arguments.output, f"{text}\n".encode(), what="the constants")
    print(_constants_table(constants))
    return 0


def _constants_table(constants: Constants) -> str:
    from benchmarks.tables import table

    return table(
        ["constant", "median (10-90 %)", "how"],
        [(name, constant, constant.how) for name, constant in constants.constants.items()],
    )


def _predict(arguments: argparse.Namespace) -> int:
    constants = read_constants(arguments.constants)
    size = arguments.size.split("x")
    if len(size) != 2 or not all(side.isdecimal() and 0 < int(side) < 1 << 16 for side in size):
        raise UsageError(f"--size must be like 640x360, got '{arguments.size[:20]}'.")
    footage = Footage(
        width=int(size[0]),
        height=int(size[1]),
        frames_per_second=arguments.frames_per_second,
        megabits_per_second=arguments.megabits,
    )
    milliseconds = arguments.engine_ms
    network = Network(
        snippets_per_second=arguments.snippets_per_second or constants.snippets_per_second,
        snippet_seconds=None if milliseconds is None else milliseconds / 1e3,
        on_features=arguments.on_features,
    )
    if network.on_features and (arguments.cameras or milliseconds is not None):
        raise UsageError("--on-features is for videos alone, with heads as they were measured.")
    if arguments.cameras:
        document, text = _cameras(arguments, constants, footage, network)
    else:
        document, text = _videos(arguments, constants, footage, network)
    print(json.dumps(document, indent=1) if arguments.json else text)
    if arguments.output is not None:
        write_results(arguments.output, document, text)
    return 0


def _videos(
    arguments: argparse.Namespace, constants: Constants, footage: Footage, network: Network
) -> tuple[dict[str, Any], str]:
    from benchmarks.scale import predict

    if unknown := [form for form in arguments.forms if form not in FORMS]:
        raise UsageError(f"'{unknown[0]}' is no form: there are {', '.join(FORMS)}.")
    if RAY in arguments.forms:
        if arguments.ray_start is None or arguments.ray_video is None:
            raise UsageError(
                "--forms ray needs --ray-start and --ray-video, which were not measured here: "
                "docs/scale_figures.md has figures of Ray on one machine."
            )
        constants = constants.given("ray_start", arguments.ray_start)
        constants = constants.given("ray_video", arguments.ray_video)
    places = read_places(arguments.machines)
    faults = Faults(crash=arguments.crash, hang=arguments.hang, stall_seconds=arguments.stall_limit)
    loads = tuple(
        Workload(
            num_videos=arguments.videos, lengths=lengths, footage=footage, network=network,
            faults=faults, store=places.store,
        )
        for lengths in _lengths(arguments)
    )  # fmt: skip
    question = predict.Question(
        loads=loads, places=places, forms=tuple(arguments.forms),
        workers=tuple(arguments.workers), draws=arguments.draws, seed=arguments.seed,
    )  # fmt: skip
    rows = predict.predict_runs(constants, question)
    sentences = predict.assumptions_of_runs(constants, question)
    title = f"{arguments.videos:,} videos, median (10-90 %):"
    text = _text(title, predict.runs_table(rows), sentences)
    return predict.as_document(rows, sentences), text


def _cameras(
    arguments: argparse.Namespace, constants: Constants, footage: Footage, network: Network
) -> tuple[dict[str, Any], str]:
    from benchmarks.scale import predict

    if not 0 < arguments.most_load <= 1 or min(arguments.cameras) < 1:
        raise UsageError("--cameras must be at least 1, and --most-load between 0 and 1.")
    places = read_places(arguments.machines)
    rows = predict.predict_cameras(
        constants, places, arguments.cameras, footage, network,
        most_load=arguments.most_load, draws=arguments.draws, seed=arguments.seed,
    )  # fmt: skip
    sentences = predict.assumptions_of_cameras(
        constants, places, footage, network, arguments.most_load
    )
    text = _text("Cameras, median (10-90 %):", predict.cameras_table(rows), sentences)
    return predict.as_document(rows, sentences), text


def _text(title: str, rows: str, sentences: Sequence[str]) -> str:
    listed = "\n".join(f"- {sentence}" for sentence in sentences)
    return f"{title}\n\n{rows}\n\nTaken for granted:\n\n{listed}"


def _lengths(arguments: argparse.Namespace) -> list[Lengths]:
    if arguments.lengths is None:
        return [
            Lengths(mean_seconds=mean, spread=arguments.spread) for mean in arguments.mean_seconds
        ]
    database = read_object(arguments.lengths).get("database")
    entries = database.values() if isinstance(database, dict) else ()
    seconds = [entry.get("duration") for entry in entries if isinstance(entry, dict)]
    real = tuple(float(one) for one in seconds if isinstance(one, int | float) and one > 0)
    if not real:
        raise InputError(f"'{arguments.lengths}' holds no durations of videos.")
    return [Lengths(mean_seconds=sum(real) / len(real), real_seconds=real)]


def _validate(arguments: argparse.Namespace) -> int:
    os.environ["OMP_NUM_THREADS"] = "1"
    from benchmarks.scale.validate import as_document, validate, verdicts_table

    constants = read_constants(arguments.constants)
    if arguments.films is not None and not arguments.films.is_dir():
        raise InputError(f"'{arguments.films}' is no folder.")
    with tempfile.TemporaryDirectory(prefix="wsgn-scale-") as folder:
        verdicts = validate(
            Path(folder), constants, arguments.repeats, arguments.films,
            lambda words: say(_NAME, words),
        )  # fmt: skip
    publish(arguments.output, as_document(verdicts), verdicts_table(verdicts))
    return 0


def _simulate(arguments: argparse.Namespace) -> int:
    from benchmarks.scale.simulate import Scene, as_document, as_text, play

    if arguments.workers > _MOST_WORKERS:
        raise UsageError(f"--workers may be {_MOST_WORKERS:,} at most.")
    scene = Scene(
        workers=arguments.workers,
        jobs=arguments.jobs,
        lengths=Lengths(mean_seconds=arguments.mean_seconds, spread=arguments.spread),
        faults=Faults(
            crash=arguments.crash, hang=arguments.hang, stall_seconds=arguments.stall_limit
        ),
        news_seconds=arguments.news_seconds,
        cores=arguments.cores,
        failures_per_hour=arguments.node_failures,
        restart_seconds=arguments.restart,
        start_seconds=arguments.start_seconds,
        seed=arguments.seed,
    )
    played = play(scene)
    publish(arguments.output, as_document(scene, played), as_text(scene, played))
    return 0
