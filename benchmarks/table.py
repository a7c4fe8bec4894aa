"""Every method on anybody's features: settings chosen on training videos, then the test videos.

    python -m benchmarks.table dataset.json features -o runs/table

searches the same grid for every row (learning rate, weight decay, dropout, linear or hidden layers,
and the rule for segments): two thirds of the training videos are trained on, and segments of the
others are scored. The whole grid has a third of the updates on one such split, the best two all of
them on two more. Then each row is trained on all training videos over several seeds and scored on
the test videos by the chosen rule, and beside it by its best rule of all. The preset of this
project has nothing searched.

The search looks at when actions occur in held-out training videos, which is more than a weakly
supervised method has; every row is given it but that preset. Results that exist are kept, so an
interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.folds import folds_of, groups_of
from benchmarks.measuring import mean_and_deviation
from benchmarks.results import describe_machine, publish
from benchmarks.rows import GRID, KNOWN, Row, Setting, rows_named
from benchmarks.tables import table
from benchmarks.trained_rows import (
    FEW_RULES,
    OWN_RULE,
    RULES,
    Data,
    Job,
    Result,
    run,
    sources,
)
from wsgn.errors import UsageError
from wsgn.methods.config import WsgnConfig
from wsgn.support.command import run_command
from wsgn.support.files import write_whole_file
from wsgn.support.table_formats import Cell, format_table, spread

NUM_FOLDS = 3
# How many of the grid are tried in full.
FINALISTS = 2
# By what the first trainings of the search are shorter.
SHORTER = 3
SHOWN_TIOU = (0.1, 0.3, 0.5, 0.7)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the search found for a row; a fixed row has no setting."""

    setting: Setting | None
    rule: str
    # Average mAP of held-out training videos, mean over the folds.
    held_out_map: float | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is run for every row."""

    data: Data
    output: Path
    steps: int
    thinning: int
    seeds: tuple[int, ...]
    folds: tuple[tuple[str, ...], ...]
    grid: tuple[Setting, ...]
    # Whether each output of WSGN is scored alone as well.
    each_output: bool = False

    def search_job(self, name: str, row: Row, setting: Setting, fold: int) -> Job:
        """A training on all but a fold, which is scored; a short one on the first."""
        is_short = fold == 0
        steps = math.ceil(self.steps / SHORTER) if is_short else self.steps
        return Job(
            row=name,
            preset=row.preset(setting, steps=steps, thinning=self.thinning, seed=0),
            setting=setting,
            data=self.data,
            result=self.output / "search" / f"{_stem(name)}_{_stem(str(setting))}_{fold}.json",
            held_out=self.folds[fold],
            rules=FEW_RULES if is_short else RULES,
        )

    def test_job(self, name: str, row: Row, choice: Choice, seed: int) -> Job:
        """A training on all training videos."""
        method, is_apart = row.method, False
        if isinstance(method, WsgnConfig):
            is_apart = self.each_output and len(method.components) > 0
        return Job(
            row=name,
            preset=row.preset(choice.setting, steps=self.steps, thinning=self.thinning, seed=seed),
            setting=choice.setting,
            data=self.data,
            outputs_rule=choice.rule if is_apart else None,
            result=self.output / f"{_stem(name)}_{seed}.json",
            own_rule=row.fixed is not None,
        )


def search(plan: Plan, name: str, row: Row, pool: Executor) -> Choice:
    """The setting and rule that find most in held-out training videos."""
    short = pool.map(run, [plan.search_job(name, row, one, 0) for one in plan.grid])
    order = np.argsort([-result.average(result.best_rule) for result in short], kind="stable")
    finalists = [plan.grid[index] for index in order[:FINALISTS]]
    folds = range(1, NUM_FOLDS)
    jobs = [plan.search_job(name, row, one, fold) for one in finalists for fold in folds]
    found = list(pool.map(run, jobs))
    candidates = []
    for setting in finalists:
        results = [one for job, one in zip(jobs, found, strict=True) if job.setting == setting]
        for rule in results[0].map:
            mean = float(np.mean([result.average(rule) for result in results]))
            candidates.append(Choice(setting=setting, rule=rule, held_out_map=mean))
    return max(candidates, key=lambda choice: choice.held_out_map or 0.0)


def choices(plan: Plan, rows: Mapping[str, Row], pool: Executor) -> dict[str, Choice]:
    """What is chosen for every row; written as it grows, and read where it was chosen before."""
    path = plan.output / "chosen.json"
    chosen = read_choices(path) if path.exists() else {}
    for name, row in rows.items():
        parent = row.like or name
        if name in chosen:
            continue
        if row.fixed is not None:
            chosen[name] = Choice(setting=None, rule=OWN_RULE)
        elif parent in chosen:
            chosen[name] = chosen[parent]
        else:
            chosen[name] = chosen[parent] = search(plan, parent, KNOWN[parent], pool)
        _say(f"{name}: {chosen[name].setting}; {chosen[name].rule}; {chosen[name].held_out_map}")
        document = {one: asdict(choice) for one, choice in chosen.items()}
        write_whole_file(path, json.dumps(document, indent=1).encode(), what="the choices")
    return chosen


def read_choices(path: Path) -> dict[str, Choice]:
    """The choices of an earlier search."""
    document: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: Choice(**one | {"setting": one["setting"] and Setting(**one["setting"])})
        for name, one in document.items()
    }


def tested(
    plan: Plan, rows: Mapping[str, Row], chosen: Mapping[str, Choice], pool: Executor
) -> dict[str, list[Result]]:
    """Every row on the test videos, a result per seed; each was chosen before."""
    for name in rows:
        if name not in chosen:
            raise UsageError(f"nothing was chosen for the row '{name}': search for it first.")
    jobs = [
        plan.test_job(name, row, chosen[name], seed)
        for name, row in rows.items()
        for seed in plan.seeds
    ]
    results: dict[str, list[Result]] = {name: [] for name in rows}
    for job, result in zip(jobs, pool.map(run, jobs), strict=True):
        results[job.row].append(result)
        rule = chosen[job.row].rule
        _say(f"{job.result.stem}: {result.average(rule):.1f} ({rule}), best {result.best_rule}")
    return results


def as_table(chosen: Mapping[str, Choice], results: Mapping[str, Sequence[Result]]) -> str:
    """Markdown: mean and standard deviation over the seeds."""
    lines = [list(_cells(chosen[name], of_row, name)) for name, of_row in results.items()]
    heading = [
        "row", *(f"{tiou:g}" for tiou in SHOWN_TIOU), "average", "rule", "best rule", "video mAP",
        "lr, wd, dropout, heads", "training (CPU)",
    ]  # fmt: skip
    return table(heading, lines)


def write_figures(
    folder: Path, chosen: Mapping[str, Choice], results: Mapping[str, Sequence[Result]]
) -> None:
    """table.csv and table.tex anew, with mAP alone: all digits, and for a paper."""
    rows: list[list[Cell]] = []
    for name, of_row in results.items():
        maps = np.array([result.map[chosen[name].rule] for result in of_row])  # (seeds, tIoU)
        shown = [maps[:, round(10 * tiou) - 1] for tiou in SHOWN_TIOU]
        rows.append([name, *(spread(column) for column in [*shown, maps.mean(axis=1)])])
    heading = ["row", *(f"{tiou:g}" for tiou in SHOWN_TIOU), "average"]
    for style, ending in (("csv", "csv"), ("latex", "tex")):
        text = format_table(heading, rows, style, decimals=1)
        write_whole_file(folder / f"table.{ending}", f"{text}\n".encode(), what="the table")


def _cells(choice: Choice, results: Sequence[Result], name: str) -> Iterator[str]:
    yield name
    maps = np.array([result.map[choice.rule] for result in results])  # (seeds, tIoU)
    for tiou in SHOWN_TIOU:
        yield mean_and_deviation(maps[:, round(10 * tiou) - 1])
    yield mean_and_deviation(maps.mean(axis=1))
    yield choice.rule
    best = max(results[0].map, key=lambda rule: np.mean([one.average(rule) for one in results]))
    yield f"{mean_and_deviation([one.average(best) for one in results])} ({best})"
    yield f"{np.mean([result.classification_map for result in results]):.1f}"
    yield str(choice.setting or "-")
    yield f"{np.mean([result.training_seconds for result in results]):.0f} s"


def table_of_outputs(results: Mapping[str, Sequence[Result]]) -> str:
    """Markdown: mAP of each output of each row, mean and standard deviation over the seeds."""
    lines = []
    for name, of_row in results.items():
        for output in of_row[0].outputs:
            maps = np.array([result.outputs[output] for result in of_row])  # (seeds, tIoU)
            shown = [maps[:, round(10 * tiou) - 1] for tiou in SHOWN_TIOU]
            cells = map(mean_and_deviation, [*shown, maps.mean(axis=1)])
            lines.append([name, output.replace("_", " "), *cells])
    return table(["row", "output", *(f"{tiou:g}" for tiou in SHOWN_TIOU), "average"], lines)


def _stem(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", name)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is missing, then print and write the table."""
    return run_command("benchmarks.table", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.table", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("annotations", type=Path, help="ActivityNet-style JSON with segments")
    add("features", type=Path, help="folder of features that hold their time base")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="trainings and the table")
    add("--subset", default="validation", help="trained on (default: %(default)s)")
    add("--test", default="test", metavar="SUBSET", help="(default: %(default)s)")
    add("--protocol", default="activitynet", help="of the evaluation (default: %(default)s)")
    add("--rows", nargs="+", metavar="ROW", help=f"out of {', '.join(KNOWN)}")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one training of each row each")
    add("--steps", type=int, default=400, help="updates of 16 videos (default: %(default)s)")
    add("--thinning", type=int, default=2, help="of training videos (default: %(default)s)")
    add("--group", default="", metavar="REGEX",
        help="hold out together what it matches alike in the names of training videos, such as a "
        "person; those that share snippets always are")  # fmt: skip
    add("--chosen", type=Path, metavar="FILE", help="chosen.json of an earlier search")
    add("--search-only", action="store_true", help="leave the test videos alone")
    add("--each-output", action="store_true",
        help="also score each output of WSGN's models alone (the paper's figure 4)")  # fmt: skip
    add("--quick", action="store_true", help="one setting in place of the grid")
    add("--workers", type=int, default=2, help="processes (default: %(default)s)")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    machine = describe_machine()
    rows = rows_named(arguments.rows)
    data = Data(
        annotations=arguments.annotations,
        features=arguments.features,
        training=arguments.subset,
        test=arguments.test,
        protocol=arguments.protocol,
    )
    plan = plan_for(
        data,
        arguments.output,
        steps=arguments.steps,
        thinning=arguments.thinning,
        seeds=arguments.seeds,
        group=arguments.group,
        grid=GRID[:1] if arguments.quick else GRID,
        each_output=arguments.each_output,
    )
    with ProcessPoolExecutor(max_workers=arguments.workers) as pool:
        if arguments.chosen is None:
            chosen = choices(plan, rows, pool)
        else:
            chosen = read_choices(arguments.chosen)
        if arguments.search_only:
            return 0
        results = tested(plan, rows, chosen, pool)
    document = {
        "chosen": {name: asdict(chosen[name]) for name in rows},
        "results": {name: [asdict(one) for one in of_row] for name, of_row in results.items()},
    }
    text = as_table(chosen, results)
    if arguments.each_output:
        text += f"\n\nEach output alone, by the row's rule:\n\n{table_of_outputs(results)}"
    publish(arguments.output / "table", document, text, machine)
    write_figures(arguments.output, chosen, results)
    return 0


def plan_for(
    data: Data,
    output: Path,
    *,
    steps: int,
    thinning: int,
    seeds: Sequence[int],
    group: str = "",
    grid: Sequence[Setting] = GRID,
    each_output: bool = False,
) -> Plan:
    """A plan whose folds are of the training videos that have features; makes its folder."""
    groups = groups_of(sources(data)[0], group)
    output.mkdir(parents=True, exist_ok=True)
    return Plan(
        data=data,
        output=output,
        steps=steps,
        thinning=thinning,
        seeds=tuple(seeds),
        folds=folds_of(groups, NUM_FOLDS),
        grid=tuple(grid),
        each_output=each_output,
    )


if __name__ == "__main__":
    sys.exit(main())
