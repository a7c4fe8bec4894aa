"""`wsgn-synthesize`: videos, or features on the timeline of annotations, whose truth is known."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from wsgn.errors import MissingExtraError, UsageError
from wsgn.manifest import Sampling
from wsgn.remote.arguments import input_path, local_path
from wsgn.support.command import run_command
from wsgn.support.parser import CommandParser
from wsgn.support.terminal import print_lines
from wsgn.synthetic.features.config import DIFFICULTIES, SyntheticFeaturesConfig, preset
from wsgn.synthetic.videos.config import (
    ACTION_CLASSES,
    SceneConfig,
    SyntheticVideosConfig,
    TimelineConfig,
)

_NAME = "wsgn-synthesize"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 done, 2 usage, 3 unreadable input, 6 output."""

    def work() -> int:
        arguments = _parser().parse_args(argv)
        print_lines(arguments.run(arguments))
        return 0

    return run_command(_NAME, work)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog=_NAME, description="Make data whose actions are known exactly.")
    kinds = parser.add_subparsers(required=True, metavar="{videos,features}")
    _add_videos_options(
        kinds.add_parser(
            "videos",
            help="videos of drawn figures that act",
            description="Make videos whose actions are known exactly.",
        )
    )
    _add_features_options(
        kinds.add_parser(
            "features",
            help="features on the timeline of annotations",
            description="Make features on the timeline of real annotations.",
        )
    )
    return parser


def _add_videos_options(parser: argparse.ArgumentParser) -> None:
    usual, scene = SyntheticVideosConfig(), SceneConfig()
    parser.set_defaults(run=_make_videos)
    parser.add_argument("output", nargs="?", type=local_path, help="folder for the set of videos")
    parser.add_argument("--train", type=int, default=usual.num_train, help="training videos")
    parser.add_argument("--test", type=int, default=usual.num_test, help="test videos")
    parser.add_argument("--seed", type=int, default=usual.seed, help="decides everything drawn")
    parser.add_argument("--workers", type=int, default=1, help="processes to use")
    parser.add_argument("--width", type=int, default=scene.width, help="pixels")
    parser.add_argument("--height", type=int, default=scene.height, help="pixels")
    parser.add_argument("--frame-rate", type=int, default=scene.frame_rate, help="per second")
    parser.add_argument("--overwrite", action="store_true", help="replace a former output")
    parser.add_argument(
        "--sample", type=local_path, metavar="FILE.mp4", help="make one video instead"
    )
    parser.add_argument("--duration", type=float, help="seconds, for --sample")
    parser.add_argument("--actions", metavar="A,B,...", help="classes in order, for --sample")


def _add_features_options(parser: argparse.ArgumentParser) -> None:
    usual = SyntheticFeaturesConfig()
    sampling = usual.sampling
    parser.set_defaults(run=_make_features)
    parser.add_argument("folder", type=local_path, help="folder for one feature file per video")
    parser.add_argument(
        "--annotations",
        type=input_path,
        required=True,
        help="ActivityNet-style JSON with durations",
    )
    parser.add_argument(
        "--subset", action="append", default=[], help="only this subset; may be repeated"
    )
    parser.add_argument(
        "--difficulty", choices=DIFFICULTIES, default="medium", help="of the classes"
    )
    parser.add_argument(
        "--establishing-strength",
        type=float,
        metavar="X",
        help="of a scene shown without its action, for moments: by default that of the difficulty "
        f"({', '.join(f'{preset(name).establishing_strength:g}' for name in DIFFICULTIES)}), "
        "0 for none",
    )
    parser.add_argument("--feature-size", type=int, default=usual.feature_size, help="channels")
    parser.add_argument("--seed", type=int, default=usual.seed, help="decides everything drawn")
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


def _make_videos(arguments: argparse.Namespace) -> Path:
    """The annotations of the set, or the path of the sample."""
    if importlib.util.find_spec("PIL") is None:
        raise MissingExtraError("making videos (with Pillow)", "synthetic")
    return _make_sample(arguments) if arguments.sample else _make_set(arguments)


def _make_set(arguments: argparse.Namespace) -> Path:
    from wsgn.synthetic.videos.dataset import write_dataset

    if arguments.output is None:
        raise UsageError("No output is given; name a folder, or use --sample FILE.mp4.")
    if arguments.actions or arguments.duration:
        raise UsageError("--actions and --duration are for one video; add --sample FILE.mp4.")
    config = SyntheticVideosConfig(
        num_train=arguments.train,
        num_test=arguments.test,
        seed=arguments.seed,
        scene=_scene(arguments),
    )
    return write_dataset(arguments.output, config, arguments.workers, arguments.overwrite)


def _make_sample(arguments: argparse.Namespace) -> Path:
    from wsgn.synthetic.videos.dataset import write_sample

    path: Path = arguments.sample
    if path.exists() and not arguments.overwrite:
        raise UsageError(f"{path} exists; name another file or add --overwrite.")
    actions = _actions(arguments.actions) if arguments.actions else None
    write_sample(
        path, arguments.seed, _scene(arguments), TimelineConfig(), actions, arguments.duration
    )
    return path


def _actions(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in ACTION_CLASSES]
    if unknown:
        raise UsageError(
            f"The action {unknown[0]!r} is unknown; choose from {', '.join(ACTION_CLASSES)}."
        )
    return names


def _scene(arguments: argparse.Namespace) -> SceneConfig:
    return SceneConfig(
        width=arguments.width, height=arguments.height, frame_rate=arguments.frame_rate
    )


def _make_features(arguments: argparse.Namespace) -> str:
    """A sentence of what was made."""
    if importlib.util.find_spec("safetensors") is None:
        raise MissingExtraError("making features (with safetensors)", "train")
    from wsgn.synthetic.features.dataset import write_features

    usual = preset(arguments.difficulty)
    strength = arguments.establishing_strength
    config = dataclasses.replace(
        usual,
        establishing_strength=usual.establishing_strength if strength is None else strength,
        feature_size=arguments.feature_size,
        seed=arguments.seed,
        sampling=Sampling(
            frame_rate=arguments.frame_rate,
            snippet_length=arguments.snippet_length,
            snippet_stride=arguments.snippet_stride,
        ),
    )
    paths = write_features(
        arguments.folder,
        arguments.annotations,
        config,
        subsets=arguments.subset,
        overwrite=arguments.overwrite,
    )
    return f"{arguments.folder}: synthetic features of {len(paths)} videos"


if __name__ == "__main__":
    sys.exit(main())
