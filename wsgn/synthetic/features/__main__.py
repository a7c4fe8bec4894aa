"""The command line: `python -m wsgn.synthetic.features FOLDER --annotations FILE.json`."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from wsgn.errors import WsgnError
from wsgn.manifest import Sampling
from wsgn.synthetic.features.config import DIFFICULTIES, MadeFeaturesConfig, preset
from wsgn.synthetic.features.dataset import write_features

_EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Makes the features of all videos of an annotation file and returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        paths = write_features(
            arguments.folder,
            arguments.annotations,
            _config(arguments),
            subsets=arguments.subset,
            overwrite=arguments.overwrite,
        )
    except WsgnError as error:
        print(f"wsgn.synthetic.features: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    print(f"{arguments.folder}: made features of {len(paths)} videos")
    return 0


def _config(arguments: argparse.Namespace) -> MadeFeaturesConfig:
    return dataclasses.replace(
        preset(arguments.difficulty),
        feature_size=arguments.feature_size,
        seed=arguments.seed,
        sampling=Sampling(
            frame_rate=arguments.frame_rate,
            snippet_length=arguments.snippet_length,
            snippet_stride=arguments.snippet_stride,
        ),
    )


def _parser() -> argparse.ArgumentParser:
    usual = MadeFeaturesConfig()
    parser = argparse.ArgumentParser(
        prog="python -m wsgn.synthetic.features",
        description="Make features on the timeline of real annotations.",
    )
    parser.add_argument("folder", type=Path, help="folder for one feature file per video")
    parser.add_argument(
        "--annotations", type=Path, required=True, help="ActivityNet-style JSON with durations"
    )
    parser.add_argument(
        "--subset", action="append", default=[], help="only this subset; may be repeated"
    )
    parser.add_argument("--difficulty", choices=DIFFICULTIES, default="medium")
    parser.add_argument("--feature-size", type=int, default=usual.feature_size, help="channels")
    parser.add_argument("--seed", type=int, default=usual.seed, help="decides everything drawn")
    sampling = usual.sampling
    parser.add_argument(
        "--frame-rate", type=float, default=sampling.frame_rate, help="frames per second"
    )
    parser.add_argument(
        "--snippet-length", type=int, default=sampling.snippet_length, help="frames"
    )
    parser.add_argument(
        "--snippet-stride", type=int, default=sampling.snippet_stride, help="frames"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace features of these videos")
    return parser


if __name__ == "__main__":
    sys.exit(main())
