"""`wsgn-run golden ENGINE -o DIR`: golden vectors of an engine, for hosts of others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from wsgn.engines.engine import Engine
from wsgn.engines.open import open_engine
from wsgn.errors import UsageError
from wsgn.remote.arguments import input_name, local_path
from wsgn.support.parser import CommandParser
from wsgn.support.terminal import quoted

from ..demo import engine_path
from ..features import FeatureVideo
from ..golden import DOCUMENT, golden_vectors, write_golden
from .console import print_result

_LONGEST_SECONDS = 3600.0


def golden(arguments: Sequence[str]) -> int:
    """Write what an engine takes and gives for a short source; the exit code."""
    parser = CommandParser(
        prog="wsgn-run golden",
        description="Write an input of an engine, its outputs, scores and segments, for a host of "
        "your own to be held against (docs/engines.md).",
    )
    parser.add_argument("engine", metavar="ENGINE", help="engine, .onnx or .plan, or demo")
    parser.add_argument(
        "-o", "--output", type=local_path, metavar="DIR", required=True, help="a new folder"
    )
    parser.add_argument(
        "--source",
        type=input_name,
        metavar="FILE",
        help="a video, or a feature file (default: one that is made up, the same each time)",
    )
    parser.add_argument(
        "--seconds", type=float, default=12.0, metavar="S", help="its first so many (default: 12)"
    )
    parser.add_argument("--device", metavar="NAME", help="as for a run")
    words = parser.parse_args(arguments)
    # NaN too.
    if not 0 < words.seconds <= _LONGEST_SECONDS or not math.isfinite(words.seconds):
        raise UsageError(f"--seconds must be up to {_LONGEST_SECONDS:g}, got {words.seconds:g}.")
    with open_engine(engine_path(words.engine), device=words.device, num_threads=1) as engine:
        vectors = golden_vectors(engine, _source(engine, words.source), words.seconds)
    write_golden(words.output, vectors)
    shape = " x ".join(map(str, vectors.selection_logits.shape))
    print_result(
        f"{words.output}: {DOCUMENT} and {quoted(list(vectors.arrays()))} of {shape} snippets and "
        f"classes, {len(vectors.segments)} segments\n"
    )
    return 0


def _source(engine: Engine, word: str | None) -> Path | FeatureVideo | None:
    if word is None or engine.manifest.features is None:
        return None if word is None else Path(word)
    from .feature_sources import FeatureTaking, expand_features
    from .options import FeatureWords

    taking = FeatureTaking(
        engine_name=engine.name, sampling=engine.manifest.sampling, words=FeatureWords()
    )
    job = expand_features([word], taking)[0]
    if job.problem is not None:
        raise job.problem
    return job.features
