"""SOURCE arguments to jobs where the engine takes features: files, folders, bundles, lists."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from wsgn.errors import InputError, UsageError
from wsgn.features.layouts import AUTO, OWN_LAYOUTS, detect_layout, open_feature_file, open_features
from wsgn.features.packed.index import INDEX_NAME
from wsgn.features.reader import FeatureReader
from wsgn.manifest import Sampling
from wsgn.remote.addresses import inside, is_address
from wsgn.video.addresses import is_network

from ..features import FeatureVideo
from .options import FeatureWords
from .sources import Job, display_name, is_list, list_entries, place_of, with_unique_names

# Files of features by themselves.
_SUFFIXES = (".safetensors", ".npy")


@dataclass(frozen=True, kw_only=True)
class FeatureTaking:
    """What an engine takes, and what a user says of the features."""

    engine_name: str
    # Of the engine: features that hold no time base have this one.
    sampling: Sampling
    words: FeatureWords
    # Frames per second in place of the engine's.
    input_rate: float | None = None

    @property
    def time_base(self) -> Sampling:
        """Of features that hold none."""
        if self.input_rate is None:
            return self.sampling
        return replace(self.sampling, frame_rate=self.input_rate)


def expand_features(
    arguments: Sequence[str], taking: FeatureTaking, reserved_names: Sequence[str] = ()
) -> list[Job]:
    """The jobs that SOURCE arguments stand for, in order, each video once.

    What cannot be read is a job with a problem. Raises `UsageError` for words that no source fits.
    """
    jobs: list[Job] = []
    seen: set[str] = set()
    for argument in arguments:
        for job in _guarded(argument, taking):
            place = place_of(job.source)
            # Of a folder they are named without their endings.
            for suffix in _SUFFIXES:
                place = place.removesuffix(suffix)
            if place not in seen:
                seen.add(place)
                jobs.append(job)
    return with_unique_names(_with_keys(jobs), reserved_names)


def _guarded(argument: str, taking: FeatureTaking) -> Iterator[Job]:
    """The jobs of an argument; what goes wrong with it is the problem of one job."""
    try:
        yield from _listed(argument, taking) if is_list(argument) else _jobs(argument, taking)
    except InputError as error:
        yield Job(source=argument, output_name="failed", problem=error)
    except OSError as error:
        problem = InputError(f"'{display_name(argument)}' cannot be read: {error.strerror}.")
        yield Job(source=argument, output_name="failed", problem=problem)
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        problem = InputError(f"'{display_name(argument)}' is the name of no file.")
        yield Job(source=argument, output_name="failed", problem=problem)


def _listed(argument: str, taking: FeatureTaking) -> Iterator[Job]:
    """Sources in a text file, relative to its folder."""
    folder = Path(argument.removeprefix("@")).parent
    for entry in list_entries(argument):
        yield from _guarded(os.path.join(folder, entry), taking)  # noqa: PTH118


def _jobs(argument: str, taking: FeatureTaking) -> Iterator[Job]:
    if is_address(argument):
        reader = _open_folder(argument, taking)
        for name in reader.names:
            source = argument if argument.endswith(_SUFFIXES) else inside(argument, name)
            features = FeatureVideo(reader=reader, name=name)
            yield Job(source=source, output_name=name, features=features)
        return
    path = Path(argument)
    if is_network(argument) or not path.exists():
        if not is_network(argument) and glob.has_magic(argument):
            matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207
            if not matches:
                raise InputError(f"no file matches '{argument}': check the pattern.")
            for match in matches:
                yield from _guarded(match, taking)
            return
        if path.suffix in _SUFFIXES:
            raise InputError(f"the feature file '{display_name(argument)}' does not exist.")
    if path.is_dir() or path.name == INDEX_NAME:
        reader = _open_folder(path, taking)
    elif path.name.endswith(_SUFFIXES) and path.is_file():
        reader = open_feature_file(
            path,
            layout=taking.words.layout,
            sampling=taking.time_base,
            own_sampling=taking.input_rate is None,
            streams=taking.words.streams,
        )
    else:
        raise InputError(
            f"the engine '{taking.engine_name}' takes features, and '{display_name(argument)}' is "
            "no file of them (.safetensors or .npy), nor a folder or bundle: make them with "
            "wsgn-features, or export the engine with its backbone (docs/features.md)."
        )
    is_one = path.name.endswith(_SUFFIXES) and len(reader.names) == 1
    for name in reader.names:
        # Of several in one place, each by its name behind it.
        source = str(path) if is_one else f"{path}/{name}"
        yield Job(source=source, output_name=name, features=FeatureVideo(reader=reader, name=name))


def _open_folder(path: Path | str, taking: FeatureTaking) -> FeatureReader:
    layout = taking.words.layout
    if layout == AUTO and isinstance(path, Path):
        layout = detect_layout(path)
    # At addresses there are no others.
    is_own = layout in OWN_LAYOUTS or isinstance(path, str)
    holds_time_base = is_own and taking.input_rate is None
    return open_features(
        path,
        layout=layout,
        sampling=None if holds_time_base else taking.time_base,
        streams=taking.words.streams,
    )


def _with_keys(jobs: list[Job]) -> list[Job]:
    """The names that features have, as datasets have them; where two are named alike, their paths.

    They name the results and their files.
    """
    candidates = [_names_of(job) for job in jobs]
    counts = Counter(name for names in candidates for name in set(names))
    keyed = []
    for job, names in zip(jobs, candidates, strict=True):
        key = next((name for name in names if counts[name] == 1), names[-1])
        name = job.output_name if job.features is None else _inside(key)
        keyed.append(replace(job, key=key, output_name=name))
    return keyed


def _names_of(job: Job) -> list[str]:
    """What may name a job, the shortest first."""
    whole = display_name(job.source)
    if job.features is None:
        return [whole]
    name = job.features.name
    return [name, f"{Path(job.source).parent.name}/{name}", whole]


def _inside(name: str) -> str:
    """A name for files; those of a bundle are whatever its author wrote, and lead nowhere else."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "//", "..")]
    return "/".join(parts) or "features"
