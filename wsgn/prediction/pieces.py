"""What a shard has predicted so far: pieces of its part, which `--resume` takes.

`predictions.2-of-4.piece-17.safetensors` is as the part will be, of some of its videos, the first
of which is at 17 in the list of all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

from wsgn.errors import InputError
from wsgn.prediction.join import difference
from wsgn.prediction.models import PredictedVideo
from wsgn.prediction.parts import (
    STEM,
    SUFFIX,
    PartList,
    damaged,
    part_path,
    read_part,
    read_predictions,
    write_part,
)
from wsgn.support.files import input_errors, output_errors
from wsgn.support.mirrors import fetch_file, file_names, remove_file
from wsgn.support.shards import Shard


class Pieces:
    """The videos that a shard has predicted, by their positions, in memory and on disk."""

    # A shard that is killed loses what it predicted in so long, and what it is at.
    every_seconds = 10.0

    def __init__(self, folder: Path, shard: Shard, of: PartList, names: Sequence[str]) -> None:
        """Nothing is read or written yet; the folder of parts is there, `names` are of the list."""
        self.videos: dict[int, PredictedVideo] = {}
        self._folder = folder
        self._shard = shard
        self._of = of
        self._names = names
        self._unwritten: dict[int, PredictedVideo] = {}
        self._written_seconds = time.monotonic()

    def take_earlier(self, num_classes: int) -> None:
        """Take what earlier runs of the shard have predicted, in pieces or in its part.

        Raises `InputError` where that is damaged or of another prediction.
        """
        own = part_path(self._folder, self._shard)
        with input_errors(f"the folder {self._folder}"):
            names = file_names(self._folder)
            paths = [*self._paths(names), *([own] if own.name in names else [])]
            for path in paths:
                fetch_file(path)
        for path in paths:
            self._require_same(path)
            self.videos |= read_predictions(path, num_classes)

    def add(self, position: int, video: PredictedVideo) -> None:
        """Take a video that was predicted. Raises `OutputError`."""
        self.videos[position] = self._unwritten[position] = video
        if time.monotonic() - self._written_seconds >= self.every_seconds:
            # No other piece begins with this one.
            path = self._folder / f"{self._stem}{min(self._unwritten)}{SUFFIX}"
            write_part(path, self._shard, self._of, self._names, self._unwritten, {})
            self._unwritten = {}
            self._written_seconds = time.monotonic()

    def remove(self) -> None:
        """Remove the pieces: the part is there, or all begins anew. Raises `OutputError`."""
        with output_errors(f"the folder {self._folder}"):
            for path in self._paths(file_names(self._folder)):
                remove_file(path)

    @property
    def _stem(self) -> str:
        return f"{STEM}.{self._shard.name}.piece-"

    def _paths(self, names: Sequence[str]) -> list[Path]:
        pattern = re.compile(rf"{re.escape(self._stem)}\d+{re.escape(SUFFIX)}")
        return [self._folder / name for name in names if pattern.fullmatch(name)]

    def _require_same(self, path: Path) -> None:
        part = read_part(path)
        words = difference(part.of, self._of)
        if not words and part.of.videos_sha256 != self._of.videos_sha256:
            words = "another list of videos"
        if words:
            raise InputError(
                f"{path} was predicted with {words}: give those again, or leave --resume out, "
                "which begins anew."
            )
        if (part.number, part.count) != (self._shard.number, self._shard.count):
            raise damaged(path, "it is of another shard")
