"""What a run of `wsgn-features` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wsgn.extraction.config import ExtractionConfig
from wsgn.extraction.videos import VideoFile
from wsgn.workers.options import WorkerOptions


@dataclass(frozen=True, kw_only=True)
class ExtractOptions:
    """Which videos are extracted with what, where to, and by how many hands."""

    videos: tuple[VideoFile, ...]
    # The folder for the feature files.
    output: Path
    config: ExtractionConfig
    # A file for each network of the configuration; None for random weights.
    weights: tuple[Path | None, ...]
    # 'cpu', 'cuda' or 'cuda:N'.
    device: str
    # CPU threads of the networks; None for all.
    num_threads: int | None
    # Snippets in one call of the networks.
    batch_size: int
    # Videos decoded at a time in this process.
    num_workers: int
    # None where there is no other process.
    processes: WorkerOptions | None
    overwrite: bool
    quiet: bool
