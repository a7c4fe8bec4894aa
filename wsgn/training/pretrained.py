"""Features of the videos of a training, made where they are not on disk yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from wsgn.data.annotations import Annotations
from wsgn.data.video_folder import VideoFolder
from wsgn.errors import InputError, UsageError
from wsgn.extraction.batch import BatchWatcher, Extraction, extract_videos
from wsgn.extraction.cache import forget_changed
from wsgn.extraction.choose import ChosenNetwork, choose_networks, split_names
from wsgn.extraction.config import ExtractionConfig
from wsgn.extraction.networks import open_networks
from wsgn.extraction.progress import Progress
from wsgn.extraction.recommended import BACKBONE, IMAGE_FRAMES, RESIZE, PretrainedOptions
from wsgn.extraction.videos import VideoFile
from wsgn.features.options import FeatureOptions
from wsgn.support.files import file_sha256, input_errors
from wsgn.support.terminal import printable, say_above_bars
from wsgn.training.options import TrainOptions
from wsgn.video.files import without_video_suffix

# Videos decoded at a time, as in wsgn-features.
_WORKERS = 2


def with_features(options: TrainOptions, annotations: Annotations) -> TrainOptions:
    """The same training on features of its videos; `options.data` are PretrainedOptions.

    Raises:
        InputError: videos that are not there or cannot be read, unless they may be left out.
        UsageError: the folder holds features of other kinds.
        MissingExtraError: the network's weights are not installed.
    """
    data = options.data
    assert isinstance(data, PretrainedOptions)
    chosen = choose_networks(split_names([BACKBONE]))
    videos = _files(options, data, annotations)
    folder = data.cache or options.output / "features"
    digests = {video.name: file_sha256(Path(video.path)) for video in videos}
    forget_changed(folder.with_name(f"{folder.name}.json"), folder, digests)
    if options.progress:
        names = " and ".join(one.network.name for one in chosen)
        say_above_bars(f"features of {len(videos)} videos by {names} -> {folder}")
    result = _extraction(options, videos, folder, _config(data, chosen), chosen)
    _tell_of_failed([sentence for _, sentence in result.failed], data)
    made = FeatureOptions(
        path=folder,
        streams=data.streams,
        skip_missing=data.skip_missing,
        only_present=data.only_present,
    )
    return replace(options, data=made)


def _config(data: PretrainedOptions, chosen: Sequence[ChosenNetwork]) -> ExtractionConfig:
    return ExtractionConfig(
        networks=tuple(one.network for one in chosen),
        frame_rate=data.frame_rate,
        snippet_length=data.snippet_length,
        snippet_stride=data.snippet_stride,
        image_frames=IMAGE_FRAMES,
        resize=RESIZE,
        short_side=ExtractionConfig.crop_size,
    )


def _extraction(
    options: TrainOptions,
    videos: Sequence[VideoFile],
    folder: Path,
    config: ExtractionConfig,
    chosen: Sequence[ChosenNetwork],
) -> Extraction:
    """Make what is not there; with `overwrite` also what was made in another way."""
    weights = tuple(one.weights for one in chosen)
    networks = open_networks(config, weights, options.device, num_threads=options.num_threads)
    progress = Progress(quiet=not options.progress)
    watcher = BatchWatcher(
        on_video=progress.on_video,
        on_notice=lambda name, sentence: say_above_bars(f"{name}: {sentence}"),
        on_snippets=progress.on_snippets,
    )
    extract = partial(
        extract_videos, videos, folder, config, networks, num_workers=_WORKERS, watcher=watcher
    )
    try:
        return extract()
    except UsageError as error:
        if options.overwrite:
            return extract(overwrite=True)
        raise UsageError(
            f"{folder} holds features that were made in another way: name another --feature-cache, "
            "or add --overwrite."
        ) from error
    finally:
        progress.close()


def _files(
    options: TrainOptions, data: PretrainedOptions, annotations: Annotations
) -> list[VideoFile]:
    """The files of the subsets that are used, under names for their features."""
    with input_errors(f"the folder of videos {data.folder}"):
        next(data.folder.iterdir(), None)
    used = {options.subset, options.test_subset, options.validation_subset}
    names = [video.name for video in annotations.videos if video.subset in used]
    plain = {name: without_video_suffix(name) for name in names}
    claims = Counter(plain.values())
    folder, found, reasons = VideoFolder(data.folder), [], []
    for name in names:
        try:
            path = folder.find(_inside(name, data.folder))
        except InputError as error:
            reasons.append(str(error))
        else:
            own = plain[name] if claims[plain[name]] == 1 else name
            found.append(VideoFile(path=path, name=own))
    _tell_of_failed(reasons, data)
    if not found:
        raise InputError(f"none of the {len(names)} videos is in {data.folder}.")
    return found


def _inside(name: str, folder: Path) -> str:
    """The name of a video, from which that of a file to write is made."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(
            f"video '{printable(name)}' does not lie in {folder}: name it as it is called there."
        )
    return name


def _tell_of_failed(reasons: Sequence[str], data: PretrainedOptions) -> None:
    """Say what videos cannot be used, or raise it."""
    if not reasons:
        return
    first = reasons[0].rstrip(".")
    more = f", and {len(reasons) - 1} more cannot be used either" if len(reasons) > 1 else ""
    if not (data.skip_missing or data.only_present):
        raise InputError(f"{first}{more}: add --skip-missing to train without.")
    say_above_bars(f"left out: {first}{more}.")
