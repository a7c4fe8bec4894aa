"""Alarm thresholds of a trained model, from annotated videos that it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from wsgn.checkpoint import Checkpoint, load_checkpoint
from wsgn.data.annotations import Annotations
from wsgn.data.layouts import read_annotations
from wsgn.dataset import open_data
from wsgn.errors import UsageError
from wsgn.localization.online.alarms import ClassAlarms, VideoOutputs, alarm_rule, class_alarms
from wsgn.manifest import AlarmRule, Manifest
from wsgn.methods.rules import selection_rule
from wsgn.prediction.alarm_options import AlarmOptions
from wsgn.prediction.predict import predict_videos
from wsgn.support.progress import progress_bar
from wsgn.support.tables import columns
from wsgn.support.terminal import quoted

# Videos of all subsets.
_ALL = "all"
# Without one alarm in h hours a rate of 3 / h is ruled out with a confidence of 95 %.
_RULED_OUT = 3.0


@dataclass(frozen=True, kw_only=True)
class AlarmReport:
    """Thresholds for the manifest, and what they cost."""

    alarms: AlarmRule
    classes: tuple[ClassAlarms, ...]
    # Whether the model was trained on the videos that were played.
    saw_them: bool

    def lines(self) -> list[str]:
        """For people: a table, then what it does not show."""
        rows = [
            [
                one.label,
                f"{one.own_threshold:.3g} -> {one.threshold:.3g}",
                f"{one.own_false_alarms} -> {one.false_alarms} in {one.hours:.2f} h",
                f"{one.own_found} -> {one.found} of {one.videos}",
            ]
            for one in self.classes
        ]
        heading = ["class", "threshold", "false alarms", "videos in which it is found"]
        table = columns([heading, *rows], num_left=4).rstrip().splitlines()
        return [*table, *self.sentences()]

    def sentences(self) -> Iterator[str]:
        """How many false alarms are left, and why there may be more of them elsewhere."""
        before = sum(one.own_false_alarms / one.hours for one in self.classes if one.hours)
        yield (
            f"false alarms an hour, all classes together: {before:.1f} -> "
            f"{self.alarms.measured_per_hour:.1f}, of {self.alarms.false_alarms_per_hour:g} allowed"
        )
        if self.saw_them:
            yield (
                "the model was trained on these videos, so that others will raise more false "
                "alarms: name videos of another --subset, or models trained without them with "
                "--held-out."
            )
        if self.alarms.measured_per_hour > self.alarms.false_alarms_per_hour:
            yield "that is more than allowed: fewer would leave too little found (--keep-found)."
        if dead := [one.label for one in self.classes if one.videos and not one.found]:
            yield (
                f"{quoted(dead)} will not be found on streams: allow more false alarms, keep some "
                "with --keep-found, or train on more."
            )
        measured = [one for one in self.classes if one.hours]
        if len(measured) < len(self.classes):
            without = [one.label for one in self.classes if not one.hours]
            yield (
                f"every video shows {quoted(without)}: nothing is known of its false alarms; add "
                "videos of other things."
            )
        shortest = min((one.hours for one in measured), default=0.0)
        wanted = self.alarms.false_alarms_per_hour
        if measured and wanted * shortest < _RULED_OUT:
            yield (
                f"{shortest:.2f} hours without a class are too few to show {wanted:g} an hour: no "
                f"alarm in them means fewer than {_RULED_OUT / shortest:.0f} (at 95 %); to show it "
                f"take {_RULED_OUT / wanted:.0f} hours or more."
            )


def calibrate_alarms(
    checkpoint: Checkpoint, manifest: Manifest, options: AlarmOptions
) -> AlarmReport:
    """Play annotated videos, and set thresholds that keep false alarms to a rate.

    Args:
        checkpoint: a finished training's model.
        manifest: of the engine that is made of it.
        options: which videos, and how many alarms.

    Raises:
        UsageError: the classes of the videos, or of another model, are not the model's.
        InputError: a file cannot be read, or there are no such videos.
    """
    annotations = _known(read_annotations(options.annotations), checkpoint)
    parts: list[tuple[Manifest, list[VideoOutputs]]] = []
    for model, subset in _parts(checkpoint, options):
        chosen = annotations
        if subset is None:
            chosen, subset = _as_one(annotations), _ALL
        parts.append(_played(model, manifest, chosen, subset, options))
    videos = [video for _, some in parts for video in some]
    if not any((~video.shows).any() for video in videos):
        raise UsageError(
            "every video shows every class: false alarms are counted in videos without one."
        )
    classes = class_alarms(parts, options.false_alarms_per_hour, options.keep_found)
    return AlarmReport(
        alarms=alarm_rule(classes, options.false_alarms_per_hour),
        classes=tuple(classes),
        saw_them=_saw(checkpoint, annotations, len(videos), options),
    )


def _known(annotations: Annotations, checkpoint: Checkpoint) -> Annotations:
    """With the model's classes: videos of nothing need not name them."""
    used = {label for video in annotations.videos for label in video.labels}
    if unknown := sorted(used - set(checkpoint.model.classes)):
        raise UsageError(
            f"the model does not know {quoted(unknown)} of the annotations; its classes are "
            f"{quoted(checkpoint.model.classes, most=len(checkpoint.model.classes))}."
        )
    return replace(annotations, classes=checkpoint.model.classes)


def _parts(
    checkpoint: Checkpoint, options: AlarmOptions
) -> Iterator[tuple[Checkpoint, str | None]]:
    """Models, and the subset that each scores."""
    if not options.held_out:
        yield checkpoint, options.subset
    for path, subset in options.held_out:
        model = load_checkpoint(path)
        same = all(
            getattr(model.model, name) == getattr(checkpoint.model, name)
            for name in ("classes", "sampling", "features", "frames", "method")
        )
        if not same:
            raise UsageError(
                f"{path} is another kind of model: its scores say nothing of the engine's."
            )
        yield model, subset


def _as_one(annotations: Annotations) -> Annotations:
    return replace(
        annotations, videos=tuple(replace(video, subset=_ALL) for video in annotations.videos)
    )


def _played(
    checkpoint: Checkpoint,
    manifest: Manifest,
    annotations: Annotations,
    subset: str,
    options: AlarmOptions,
) -> tuple[Manifest, list[VideoOutputs]]:
    """A model's outputs for a subset, and how they are scored: by the model's own statistics."""
    if checkpoint.calibration is None:
        raise UsageError("a model holds no thresholds: give the model.safetensors of a training.")
    # An engine scores snippets, whatever the training did.
    config = replace(checkpoint.model, time_unit="snippet", scoring_step=1)
    data = open_data(options.data, annotations, streams=config.streams, progress=True)
    source = data.source(subset, config)
    labels = {video.name: set(video.labels) for video in source.videos}
    model = checkpoint.build()
    predictions = progress_bar(
        predict_videos(model, source),
        wanted=True,
        total=len(source.videos),
        desc="looking for false alarms",
        unit="video",
    )
    videos = [
        VideoOutputs(
            times=one.times,
            selection_logits=one.selection_logits.astype(np.float32),
            class_probabilities=one.class_probabilities.astype(np.float32),
            shows=np.array([label in labels[one.name] for label in config.classes]),
        )
        for one in predictions
    ]
    prior = checkpoint.calibration.prior
    return replace(manifest, selection=selection_rule(model), prior=prior), videos


def _saw(
    checkpoint: Checkpoint, annotations: Annotations, num_videos: int, options: AlarmOptions
) -> bool:
    """As far as a model knows of what it was trained: the name and how many there were."""
    trained = checkpoint.trained_on
    return (
        not options.held_out
        and trained is not None
        and trained.dataset == annotations.dataset
        and num_videos >= trained.num_videos
    )
