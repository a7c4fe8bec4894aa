"""Commands in one process, in shards, in workers and on a Ray cluster: same files, what it costs.

    python -m benchmarks.sharing --videos 200 -o benchmarks/results/sharing

The cluster has two nodes of one core, both of them this machine. Figures are seconds of all
processors together, of every process that a form starts; for Ray also of the cluster's own ones
meanwhile. Then the same with a video that kills its process and one that hangs, and with a worker,
an actor and a node that are killed in the middle.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks.measuring import digits
from benchmarks.processor_time import children
from benchmarks.results import ROOT, add_output, describe_machine, publish
from benchmarks.sharing.bench import (
    ONE_PROCESS,
    Bench,
    Cost,
    Faulty,
    Form,
    Killed,
    plant,
    python_path,
)
from benchmarks.sharing.errors import SharingError
from benchmarks.sharing.subjects import (
    Subject,
    Videos,
    features_subject,
    predict_subject,
    run_subject,
)
from benchmarks.tables import NOTHING, table
from wsgn.errors import MissingExtraError, UsageError
from wsgn.support.command import run_command

sys.path.append(str(ROOT / "tests"))

from ray_nodes import TwoNodes, two_nodes

_NAME = "benchmarks.sharing"
_COMMANDS = ("wsgn-run", "wsgn-features", "wsgn-predict")
_FORMS = ("shards", "workers", "ray")
_PARTS = ("costs", "faults", "kills")
_NUM_SHARDS = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and compare; 1 where a form differs."""
    return run_command(_NAME, lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {_NAME}", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--videos", type=int, default=200, help="(default: %(default)s)")
    add("--rounds", type=int, default=2, help="(default: %(default)s)")
    add("--commands", nargs="+", choices=_COMMANDS, default=list(_COMMANDS), help="(default: all)")
    add("--forms", nargs="*", choices=_FORMS, default=list(_FORMS),
        help="beside one process (default: all)")  # fmt: skip
    add("--workers", type=int, nargs="+", default=[1, 2, 4], metavar="N",
        help="(default: 1 2 4)")  # fmt: skip
    add("--parts", nargs="+", choices=_PARTS, default=list(_PARTS), help="(default: all)")
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if arguments.videos < _NUM_SHARDS or arguments.rounds < 1:
        raise UsageError(f"give at least {_NUM_SHARDS} --videos and 1 of --rounds.")
    machine = describe_machine()
    costs: list[Cost] = []
    faulty: list[Faulty] = []
    killed: list[Killed] = []
    with tempfile.TemporaryDirectory(prefix="wsgn-sharing-") as name:
        folder = Path(name)
        plant(folder)
        with _cluster(folder, wanted="ray" in arguments.forms) as cluster:
            for subject in _subjects(folder, arguments.commands, arguments.videos):
                bench = Bench(folder, subject, arguments.videos)
                bench.cluster_processes = [] if cluster is None else children(os.getpid())
                forms = _forms(subject, arguments.forms, arguments.workers, cluster)
                if "costs" in arguments.parts:
                    costs += bench.costs(forms, arguments.rounds)
                if "faults" in arguments.parts:
                    faulty += bench.faults(forms)
                if "kills" in arguments.parts:
                    killed += bench.kills(cluster)
    document = {
        "videos": arguments.videos,
        "costs": [asdict(one) for one in costs],
        "faulty": [asdict(one) for one in faulty],
        "killed": [asdict(one) for one in killed],
    }
    publish(arguments.output, document, _text(costs, faulty, killed), machine)
    num_different = sum(not one.same for one in faulty) + sum(not one.same for one in killed)
    if num_different:
        raise SharingError(f"{num_different} forms did not give what one process gives.")
    return 0


def _subjects(folder: Path, names: Sequence[str], num_videos: int) -> Iterator[Subject]:
    """Those of these names, in their order; each is made when it is its turn."""
    videos = None if set(names) == {"wsgn-predict"} else Videos(folder, num_videos)
    for name in names:
        if videos is None or name == "wsgn-predict":
            yield predict_subject(folder, num_videos)
        else:
            yield run_subject(folder, videos) if name == "wsgn-run" else features_subject(videos)


def _forms(
    subject: Subject, kinds: Sequence[str], workers: Sequence[int], cluster: TwoNodes | None
) -> list[Form]:
    forms = [ONE_PROCESS]
    if "shards" in kinds:
        forms.append(Form(name=f"{_NUM_SHARDS} shards", num_shards=_NUM_SHARDS, meets_faults=True))
    if "workers" in kinds:
        forms += [
            Form(
                name=f"{subject.workers} {number}",
                options=(subject.workers, str(number)),
                meets_faults=number == max(workers),
            )
            for number in workers
        ]
    if cluster is not None:
        forms.append(
            Form(name="Ray, 2 nodes", options=("--ray", cluster.address), meets_faults=True)
        )
    return forms


@contextmanager
def _cluster(folder: Path, *, wanted: bool) -> Iterator[TwoNodes | None]:
    """Two nodes of one core on this machine; None where it is not wanted."""
    if not wanted:
        yield None
        return
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(two_nodes(python_path(folder)))
        except ImportError as error:
            raise MissingExtraError("a cluster (leave ray out of --forms)", "ray") from error
        yield cluster


def _text(costs: list[Cost], faulty: list[Faulty], killed: list[Killed]) -> str:
    words = {True: "yes", False: "NO"}
    parts = []
    for command in dict.fromkeys(one.command for one in costs):
        parts.append(f"{command}: seconds of all processors.")
        parts.append(_cost_table([one for one in costs if one.command == command]))
    if faulty:
        parts.append("With one video that kills its process and one that hangs.")
        heads = ("", "", "exit codes", "same files of the others")
        rows = [
            (one.command, one.form, " ".join(map(str, one.exit_codes)), words[one.same])
            for one in faulty
        ]
        parts.append(table(heads, rows))
    if killed:
        parts.append("Killed in the middle.")
        titles = ("", "", "exit code", "videos lost", "the same after another run")
        lost = [(one.command, one.what, one.exit_code, one.lost, words[one.same]) for one in killed]
        parts.append(table(titles, lost))
    return "\n\n".join(part.rstrip() for part in parts)


def _cost_table(costs: list[Cost]) -> str:
    by_key = {(one.form, one.videos): one for one in costs}
    most = max(one.videos for one in costs)
    alone = by_key[ONE_PROCESS.name, most].processor_seconds
    rows = []
    for form in dict.fromkeys(one.form for one in costs):
        whole, begun, each = by_key[form, most], NOTHING, NOTHING
        if (first := by_key.get((form, 1))) is not None:
            begun = digits(first.processor_seconds)
            spent = whole.processor_seconds - first.processor_seconds
            each = digits(1e3 * spent / (most - 1))
        share = digits(whole.processor_seconds / alone)
        wall = digits(whole.wall_seconds)
        speed = digits(most / whole.wall_seconds)
        rows.append((form, begun, digits(whole.processor_seconds), each, share, wall, speed))
    heads = (
        "", "1 video", f"{most} videos", "ms a video", "against one process", "on the wall",
        "videos a second",
    )  # fmt: skip
    return table(heads, rows)
