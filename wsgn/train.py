"""`wsgn-train`: learn a detector from a folder of videos (or features) and video-level labels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wsgn.config import CompactConfig, ModelConfig, TrainConfig
from wsgn.data.annotations import Annotations, read_annotations
from wsgn.errors import MissingExtraError, OutputError, UsageError, WsgnError
from wsgn.manifest import COMPONENTS, SOFTMAX_SCALES, FeatureInput, FrameInput, Sampling

if TYPE_CHECKING:
    from wsgn.data.samples import VideoSource
    from wsgn.trainer import StepLog, Trainer

Number = TypeVar("Number", int, float)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, train, report; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        _run(arguments)
    except OSError as error:
        print(f"wsgn-train: {error}.", file=sys.stderr)
        return OutputError.exit_code
    except WsgnError as error:
        print(f"wsgn-train: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        advice = "there was no checkpoint yet"
        if (arguments.output / "last.safetensors").exists():
            advice = f"add --resume to go on from the last checkpoint in {arguments.output}"
        print(f"wsgn-train: interrupted; {advice}.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wsgn-train",
        description="Train an action detector from video-level labels.",
        epilog="DIR gets losses.csv, last.safetensors (to resume) and model.safetensors.",
    )
    parser.add_argument("annotations", type=Path, help="ActivityNet-style JSON")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--videos", type=Path, metavar="DIR", help="folder of video files")
    data.add_argument("--features", type=Path, metavar="DIR", help="folder of <video>.npy (T, D)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--subset", default="train", help="subset to train on (default: train)")
    parser.add_argument("--test", metavar="SUBSET", help="evaluate on this subset at the end")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on from DIR/last.safetensors")
    again.add_argument("--overwrite", action="store_true", help="start afresh in a used DIR")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    _add_model_options(parser.add_argument_group("model"))
    _add_training_options(parser.add_argument_group("training"))
    return parser


def _add_model_options(group: argparse._ArgumentGroup) -> None:
    frames, sampling = DEFAULT_FRAMES, DEFAULT_SAMPLING
    group.add_argument(
        "--height", type=int, default=frames.height, help="pixels (default: %(default)s)"
    )
    group.add_argument(
        "--width", type=int, default=frames.width, help="pixels (default: %(default)s)"
    )
    group.add_argument("--feature-size", type=int, help="D of the feature files")
    group.add_argument(
        "--frame-rate",
        type=float,
        help=f"frames per second that are sampled (default for videos: {sampling.frame_rate:g})",
    )
    group.add_argument(
        "--snippet-length",
        type=int,
        help=f"frames in a snippet (default for videos: {sampling.snippet_length})",
    )
    group.add_argument(
        "--snippet-stride",
        type=int,
        help=f"frames between snippets (default for videos: {sampling.snippet_stride})",
    )
    group.add_argument(
        "--components",
        default=",".join(COMPONENTS),
        help="normalisations to average, comma-separated; 'none' is the naive model",
    )
    group.add_argument(
        "--softmax-scale",
        choices=SOFTMAX_SCALES,
        default=ModelConfig.softmax_scale,
        help="of the temporal softmax in training; sum_one is the paper (default: %(default)s)",
    )
    group.add_argument(
        "--scoring-softmax-scale",
        choices=SOFTMAX_SCALES,
        default=ModelConfig.scoring_softmax_scale,
        help="of the temporal softmax when frames are scored (default: %(default)s)",
    )
    group.add_argument(
        "--dropout",
        type=float,
        default=ModelConfig.dropout,
        help="share of the features dropped in training (default: %(default)s)",
    )


def _add_training_options(group: argparse._ArgumentGroup) -> None:
    numbers = (
        ("--steps", TrainConfig.num_steps, "updates"),
        ("--batch-videos", TrainConfig.batch_videos, "videos in an update"),
        ("--thinning", TrainConfig.thinning, "train on every n-th snippet"),
        ("--learning-rate", TrainConfig.learning_rate, "of Adam"),
        ("--weight-decay", TrainConfig.weight_decay, "of Adam"),
        ("--checkpoint-every", TrainConfig.checkpoint_every, "updates between two checkpoints"),
        ("--seed", TrainConfig.seed, "of everything random"),
    )
    for name, default, words in numbers:
        group.add_argument(
            name, type=type(default), default=default, help=f"{words} (default: {default})"
        )
    group.add_argument(
        "--supervised", action="store_true", help="train on the segments too (an upper bound)"
    )
    group.add_argument(
        "--no-augment", action="store_true", help="no flips, shifts and relighting of videos"
    )
    group.add_argument("--threads", type=int, help="CPU threads (default: all)")


RESULT_NAMES = ("losses.csv", "last.safetensors", "model.safetensors", "detections.json")
DEFAULT_SAMPLING = Sampling(frame_rate=10.0, snippet_length=8, snippet_stride=4)
DEFAULT_FRAMES = FrameInput(height=48, width=64)


def model_config(arguments: argparse.Namespace, classes: tuple[str, ...]) -> ModelConfig:
    """The model that the arguments describe."""
    names = arguments.components
    features = None
    if arguments.features is not None:
        if arguments.feature_size is None:
            raise UsageError("--features needs --feature-size, the width of the files.")
        if None in (arguments.frame_rate, arguments.snippet_length, arguments.snippet_stride):
            raise UsageError(
                "--features needs --frame-rate, --snippet-length and --snippet-stride: nothing in "
                "such files tells their time base (I3D features are often 25, 16 and 16)."
            )
        features = FeatureInput(size=arguments.feature_size)
    return ModelConfig(
        classes=classes,
        sampling=Sampling(
            frame_rate=_chosen(arguments.frame_rate, DEFAULT_SAMPLING.frame_rate),
            snippet_length=_chosen(arguments.snippet_length, DEFAULT_SAMPLING.snippet_length),
            snippet_stride=_chosen(arguments.snippet_stride, DEFAULT_SAMPLING.snippet_stride),
        ),
        frames=(None if features else FrameInput(height=arguments.height, width=arguments.width)),
        features=features,
        backbone=CompactConfig(),
        components=() if names == "none" else tuple(names.split(",")),
        softmax_scale=arguments.softmax_scale,
        scoring_softmax_scale=arguments.scoring_softmax_scale,
        dropout=arguments.dropout,
    )


def _chosen(value: Number | None, default: Number) -> Number:
    return default if value is None else value


def train_config(arguments: argparse.Namespace) -> TrainConfig:
    """The training that the arguments describe."""
    return TrainConfig(
        num_steps=arguments.steps,
        batch_videos=arguments.batch_videos,
        thinning=arguments.thinning,
        learning_rate=arguments.learning_rate,
        weight_decay=arguments.weight_decay,
        supervision="frame" if arguments.supervised else "video",
        augment=not arguments.no_augment,
        seed=arguments.seed,
        checkpoint_every=arguments.checkpoint_every,
    )


def open_source(
    arguments: argparse.Namespace, annotations: Annotations, subset: str, model: ModelConfig
) -> VideoSource:
    """The videos or features of one subset."""
    from wsgn.data.features import FeatureDataset
    from wsgn.data.frames import FrameDataset

    videos = annotations.subset(subset)
    if model.frames is not None:
        return FrameDataset(
            arguments.videos,
            videos,
            annotations.classes,
            model.sampling,
            model.frames,
            progress=not arguments.quiet,
        )
    assert model.features is not None
    return FeatureDataset(
        arguments.features, videos, annotations.classes, model.sampling, model.features.size
    )


def _run(arguments: argparse.Namespace) -> None:
    folder = arguments.output
    if not (arguments.resume or arguments.overwrite):
        kept = [name for name in RESULT_NAMES if (folder / name).exists()]
        if kept:
            raise OutputError(
                f"{folder} holds {kept[0]} of an earlier training; add --resume or --overwrite."
            )
    annotations = read_annotations(arguments.annotations)
    if arguments.test:
        # A wrong name must not be found out after the training.
        annotations.subset(arguments.test)
    model, train = model_config(arguments, annotations.classes), train_config(arguments)
    # Before the videos are read: a folder that cannot be written must not be found out after.
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made: {error.strerror}.") from error
    trainer = _trainer(arguments, annotations, model, train)
    if arguments.resume:
        from wsgn.trainer import resume_from

        resume_from(folder, trainer)
    else:
        for name in RESULT_NAMES:
            (folder / name).unlink(missing_ok=True)
    path = _train(trainer, folder, quiet=arguments.quiet)
    print(f"trained: {path}")
    if arguments.test:
        _evaluate(arguments, annotations, path)


def _trainer(
    arguments: argparse.Namespace, annotations: Annotations, model: ModelConfig, train: TrainConfig
) -> Trainer:
    try:
        import torch

        from wsgn.trainer import Trainer
    except ImportError as error:
        raise MissingExtraError(f"Training ({error.name})", "train") from error
    if arguments.threads is not None:
        if arguments.threads < 1:
            raise UsageError(f"--threads must be at least 1, got {arguments.threads}.")
        torch.set_num_threads(arguments.threads)
    return Trainer(model, train, open_source(arguments, annotations, arguments.subset, model))


def _train(trainer: Trainer, folder: Path, *, quiet: bool) -> Path:
    from tqdm import tqdm

    from wsgn.trainer import run_training

    total = trainer.train_config.num_steps
    with tqdm(
        total=total, initial=trainer.step, desc="training", unit="step", disable=quiet
    ) as bar:
        smooth = float("nan")

        def on_step(log: StepLog) -> None:
            nonlocal smooth
            smooth = log.loss if smooth != smooth else 0.95 * smooth + 0.05 * log.loss
            bar.set_postfix(loss=f"{smooth:.4f}", refresh=False)
            bar.update()

        return run_training(trainer, folder, on_step)


def _evaluate(arguments: argparse.Namespace, annotations: Annotations, path: Path) -> None:
    from wsgn.checkpoint import load_checkpoint
    from wsgn.evaluate import evaluate, save_detections

    checkpoint = load_checkpoint(path)
    source = open_source(arguments, annotations, arguments.test, checkpoint.model)
    evaluation = evaluate(checkpoint, source)
    save_detections(arguments.output / "detections.json", evaluation.segments)
    print(evaluation.result_table())


if __name__ == "__main__":
    sys.exit(main())
