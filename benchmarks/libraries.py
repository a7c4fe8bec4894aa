"""One engine in several libraries, in float32 and in INT8: processor time of a snippet, and parity.

    python -m benchmarks.libraries [--network demo heads resnet18 i3d-rgb] [-o runs/libraries]

Everything of one network takes turns in one process, on one thread. Weights are random but for the
packaged engine's; ranges of INT8 are of the snippets that are measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from benchmarks.measuring import Spread, spread_of
from benchmarks.results import add_output, publish
from benchmarks.tables import table
from wsgn.engines.engine import Engine, EngineOutputs
from wsgn.engines.open import open_engine, read_manifest
from wsgn.manifest import Manifest
from wsgn.support.arrays import AnyArray
from wsgn.support.command import run_command

DEMO = "demo"
DEVICES = {"cpu": "ONNX Runtime", "openvino": "OpenVINO"}
_LEAST_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network in one form by one library."""

    network: str
    library: str
    form: str
    # Processor time of a snippet, and how many times faster than the first row's, turn by turn.
    milliseconds: Spread
    speed: Spread
    # From the first row: of the selection logits in units of their spread, and of probabilities.
    logits_apart: float
    probabilities_apart: float
    megabytes: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write it where asked for."""
    return run_command("benchmarks.libraries", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.libraries", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--network", nargs="+", default=[DEMO, "heads", "resnet18", "i3d-rgb"])
    add("--crop-size", type=int, default=112, help="pixels of the square (%(default)s)")
    add("--snippets", type=int, default=4, help="in a call (%(default)s)")
    add("--turns", type=int, default=9, help="(%(default)s)")
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        for network in arguments.network:
            rows += _rows_of(network, Path(name), arguments)
    text = table(
        ["network", "library", "form", "ms a snippet", "times as fast", "logits", "p", "MB"],
        [
            [
                row.network, row.library, row.form, str(row.milliseconds), str(row.speed),
                f"{row.logits_apart:.1e}", f"{row.probabilities_apart:.1e}", f"{row.megabytes:.1f}",
            ]
            for row in rows
        ],
    )  # fmt: skip
    publish(arguments.output, {"rows": [dataclasses.asdict(row) for row in rows]}, text)
    return 0


def _rows_of(network: str, folder: Path, arguments: argparse.Namespace) -> list[Row]:
    files = {"float32": _engine(network, folder, arguments.crop_size)}
    manifest = read_manifest(files["float32"])
    inputs = _inputs(manifest, arguments.snippets)
    files["int8"] = _in_int8(files["float32"], manifest, inputs, folder / f"{network}.int8.onnx")
    with ExitStack() as opened:
        engines = {
            (device, form): opened.enter_context(open_engine(path, device=device, num_threads=1))
            for device in DEVICES
            if device == "cpu" or importlib.util.find_spec(device) is not None
            for form, path in files.items()
        }
        outputs = {key: engine.infer(inputs) for key, engine in engines.items()}
        taken = _in_turn(engines, inputs, arguments.turns)
    first = next(iter(engines))
    return [
        Row(
            network=network,
            library=DEVICES[device],
            form=form,
            milliseconds=spread_of([1e3 * value / len(inputs) for value in taken[device, form]]),
            speed=spread_of(
                [a / b for a, b in zip(taken[first], taken[device, form], strict=True)]
            ),
            megabytes=files[form].stat().st_size / 1e6,
            **_apart(outputs[first], outputs[device, form]),
        )
        for device, form in engines
    ]


def _speed(first: list[float], other: list[float]) -> Spread:
    return spread_of([a / b for a, b in zip(first, other, strict=True)])


def _engine(network: str, folder: Path, crop_size: int) -> Path:
    from benchmarks.random_engine import RandomEngine
    from wsgn.runtime.demo import engine_path

    if network == DEMO:
        return engine_path(DEMO)
    place = folder / network
    place.mkdir()
    made = RandomEngine(
        folder=place, backbone=network, short_side=crop_size + 16, crop_size=crop_size
    )
    made.write_model()
    return made.export()


def _inputs(manifest: Manifest, count: int) -> AnyArray:
    random = np.random.default_rng(0)
    if manifest.frames is None:
        assert manifest.features is not None
        return random.normal(size=(count, manifest.features.size)).astype(np.float32)
    shape = (manifest.sampling.snippet_length, manifest.frames.height, manifest.frames.width, 3)
    return random.integers(0, 256, (count, *shape), dtype=np.uint8)


def _in_int8(engine: Path, manifest: Manifest, inputs: AnyArray, path: Path) -> Path:
    from wsgn.export.graphs.document import save_graph
    from wsgn.export.graphs.int8 import quantised_document

    save_graph(quantised_document(onnx.load(engine), manifest, inputs, path.parent), path)
    return path


def _in_turn(
    engines: dict[tuple[str, str], Engine], inputs: AnyArray, turns: int
) -> dict[tuple[str, str], list[float]]:
    """Processor seconds of a call, by turns, so that a disturbance meets all alike."""
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in engines}
    # So many calls at a time that the clock can tell them apart.
    calls = {
        key: 1 + int(_LEAST_SECONDS / _seconds(one, inputs, 1)) for key, one in engines.items()
    }
    for turn in range(turns):
        for key in list(engines)[:: 1 if turn % 2 == 0 else -1]:
            taken[key].append(_seconds(engines[key], inputs, calls[key]))
    return taken


def _seconds(engine: Engine, inputs: AnyArray, calls: int) -> float:
    """Processor time of one call, out of several."""
    start = time.process_time()
    for _ in range(calls):
        engine.infer(inputs)
    return max(time.process_time() - start, 1e-9) / calls


def _apart(first: EngineOutputs, other: EngineOutputs) -> dict[str, float]:
    logits = np.abs(first.selection_logits - other.selection_logits).max()
    p = np.abs(first.class_probabilities - other.class_probabilities).max()
    spread = float(first.selection_logits.std()) or 1.0
    return {"logits_apart": float(logits) / spread, "probabilities_apart": float(p)}


if __name__ == "__main__":
    raise SystemExit(main())
