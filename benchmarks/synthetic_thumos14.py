"""The table of methods (benchmarks.table) on synthetic features on THUMOS14's timeline.

    python -m benchmarks.synthetic_thumos14 thumos14.json -o runs/synthetic_thumos14

makes features of several seeds (wsgn.synthetic.features), chooses every row's settings on training
videos of the first, and trains and tests on all of them: over several seeds of training on the
first, with one on the others. So both spreads can be seen: that of the training, and that of the
features. Results that exist are kept, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from benchmarks.measuring import mean_and_deviation
from benchmarks.results import describe_machine, publish
from benchmarks.rows import GRID, KNOWN, rows_named
from benchmarks.table import Choice, as_table, choices, plan_for, read_choices, tested
from benchmarks.tables import table
from benchmarks.trained_rows import Data, Result
from wsgn.support.command import run_command
from wsgn.synthetic.features.config import DIFFICULTIES
from wsgn.synthetic.features.config import preset as synthetic_features_preset
from wsgn.synthetic.features.dataset import write_features

PROTOCOL = "activitynet-210"


def features_of(arguments: argparse.Namespace, seed: int) -> Path:
    """The folder of features, made if it is not there."""
    strength = arguments.establishing_strength
    shots = "" if strength is None else f"shots{strength:g}"
    words = ("features", arguments.difficulty, arguments.feature_size, shots, seed)
    folder: Path = arguments.output / "_".join(str(word) for word in words if word != "")
    if not (folder / "synthetic_features.json").exists():
        config = replace(
            synthetic_features_preset(arguments.difficulty),
            feature_size=arguments.feature_size,
            seed=seed,
        )
        if strength is not None:
            config = replace(config, establishing_strength=strength)
        write_features(folder, arguments.annotations, config, overwrite=True)
    return folder


def over_features(
    chosen: Mapping[str, Choice], results: Mapping[int, Mapping[str, Sequence[Result]]]
) -> str:
    """Markdown: the average mAP by the chosen rule on each seed's features, and over them."""
    lines = []
    for name in next(iter(results.values())):
        rule = chosen[name].rule
        of_seeds = [[one.average(rule) for one in rows[name]] for rows in results.values()]
        means = [float(np.mean(values)) for values in of_seeds]
        lines.append([name, *map(mean_and_deviation, of_seeds), mean_and_deviation(means)])
    heading = ["row", *(f"features {seed}" for seed in results), "over features"]
    return table(heading, lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is missing, then print and write the tables of all."""
    return run_command("benchmarks.synthetic_thumos14", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.synthetic_thumos14",
        description=(__doc__ or "").splitlines()[0],
    )
    add = parser.add_argument
    add("annotations", type=Path, help="THUMOS14 as ActivityNet-style JSON")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="trainings and the table")
    add("--rows", nargs="+", metavar="ROW", help=f"out of {', '.join(KNOWN)}")
    add(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], help="of training, on the first features"
    )
    add("--feature-seeds", type=int, nargs="+", default=[1, 2, 3], help="(default: 1 2 3)")
    add("--feature-size", type=int, default=128, help="channels (default: %(default)s)")
    add("--difficulty", choices=DIFFICULTIES, default="medium", help="(default: %(default)s)")
    add("--establishing-strength", type=float, metavar="S", help="0: no establishing shots")
    add("--steps", type=int, default=400, help="updates of 16 videos (default: %(default)s)")
    add("--thinning", type=int, default=4, help="of training videos (default: %(default)s)")
    add("--chosen", type=Path, metavar="FILE", help="chosen.json of an earlier search")
    add("--quick", action="store_true", help="one setting in place of the grid")
    add("--workers", type=int, default=2, help="processes (default: %(default)s)")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    machine = describe_machine()
    rows = rows_named(arguments.rows)
    arguments.output.mkdir(parents=True, exist_ok=True)
    chosen = {} if arguments.chosen is None else read_choices(arguments.chosen)
    results: dict[int, dict[str, list[Result]]] = {}
    with ProcessPoolExecutor(max_workers=arguments.workers) as pool:
        for number, seed in enumerate(arguments.feature_seeds):
            plan = plan_for(
                Data(
                    annotations=arguments.annotations,
                    features=features_of(arguments, seed),
                    training="validation",
                    test="test",
                    protocol=PROTOCOL,
                ),
                arguments.output / f"features_seed_{seed}",
                steps=arguments.steps,
                thinning=arguments.thinning,
                seeds=arguments.seeds if number == 0 else arguments.seeds[:1],
                grid=GRID[:1] if arguments.quick else GRID,
            )
            if not chosen:
                chosen = choices(plan, rows, pool)
            results[seed] = tested(plan, rows, chosen, pool)
    document = {
        "chosen": {name: asdict(chosen[name]) for name in rows},
        "results": {
            str(seed): {name: [asdict(one) for one in of_row] for name, of_row in of_seed.items()}
            for seed, of_seed in results.items()
        },
    }
    first = as_table(chosen, results[arguments.feature_seeds[0]])
    text = f"mAP (%), `{PROTOCOL}`\n\n{first}\n\n{over_features(chosen, results)}"
    publish(arguments.output / "table", document, text, machine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
