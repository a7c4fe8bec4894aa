"""`python -m wsgn.synthetic.videos OUTPUT`, or `--sample FILE.mp4` for one video."""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from wsgn.errors import MissingExtraError, UsageError, WsgnError
from wsgn.synthetic.videos.config import (
    ACTION_CLASSES,
    MadeVideosConfig,
    SceneConfig,
    TimelineConfig,
)

_EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Makes a set of videos, or one sample, and returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        if importlib.util.find_spec("PIL") is None:
            raise MissingExtraError("making videos (with Pillow)", "made")
        written = _make_sample(arguments) if arguments.sample else _make_set(arguments)
    except WsgnError as error:
        print(f"wsgn.synthetic.videos: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    print(written)
    return 0


def _make_set(arguments: argparse.Namespace) -> Path:
    from wsgn.synthetic.videos.dataset import write_dataset

    if arguments.output is None:
        raise UsageError("No output is given; name a folder, or use --sample FILE.mp4.")
    if arguments.actions or arguments.duration:
        raise UsageError("--actions and --duration are for one video; add --sample FILE.mp4.")
    config = MadeVideosConfig(
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


def _parser() -> argparse.ArgumentParser:
    usual, scene = MadeVideosConfig(), SceneConfig()
    parser = argparse.ArgumentParser(
        prog="python -m wsgn.synthetic.videos",
        description="Make videos whose actions are known exactly.",
    )
    parser.add_argument("output", nargs="?", type=Path, help="folder for the set of videos")
    parser.add_argument("--train", type=int, default=usual.num_train, help="training videos")
    parser.add_argument("--test", type=int, default=usual.num_test, help="test videos")
    parser.add_argument("--seed", type=int, default=usual.seed, help="decides everything drawn")
    parser.add_argument("--workers", type=int, default=1, help="processes to use")
    parser.add_argument("--width", type=int, default=scene.width, help="pixels")
    parser.add_argument("--height", type=int, default=scene.height, help="pixels")
    parser.add_argument("--frame-rate", type=int, default=scene.frame_rate, help="per second")
    parser.add_argument("--overwrite", action="store_true", help="replace a former output")
    parser.add_argument("--sample", type=Path, metavar="FILE.mp4", help="make one video instead")
    parser.add_argument("--duration", type=float, help="seconds, for --sample")
    parser.add_argument("--actions", metavar="A,B,...", help="classes in order, for --sample")
    return parser


if __name__ == "__main__":
    sys.exit(main())
