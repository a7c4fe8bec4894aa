"""Checksums of a file, and the published file that they are those of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import InputError
from wsgn.support.files import input_errors
from wsgn.weights.published import PUBLISHED, PublishedFile, PublishedWeights

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Digests:
    """Checksums of one file, as lower-case hexadecimal digits."""

    sha256: str
    # SHA-1 of "blob <length>\0" and the content: the name that Git gives the file.
    git_blob: str


def file_digests(path: Path) -> Digests:
    """Read a file once; an `InputError` says when that fails."""
    sha256 = hashlib.sha256()
    with input_errors(path):
        size = path.stat().st_size
        blob = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                sha256.update(chunk)
                blob.update(chunk)
    return Digests(sha256=sha256.hexdigest(), git_blob=blob.hexdigest())


def is_same_file(digests: Digests, published: PublishedFile) -> bool:
    """Whether the checksums are the published ones, as far as those are known."""
    if published.git_blob:
        return digests.git_blob == published.git_blob
    return digests.sha256.startswith(published.sha256_start)


def matching_weights(paths: Sequence[Path], digests: Sequence[Digests]) -> PublishedWeights | None:
    """The published weights that these files are; None where they are of another origin.

    Raises `InputError` for a file that bears a published name but not its content.
    """
    for entry in PUBLISHED:
        if len(entry.files) == len(digests) and all(map(is_same_file, digests, entry.files)):
            return entry
    if len(paths) == 1:
        _refuse_impostor(paths[0], digests[0])
    return None


def _refuse_impostor(path: Path, digests: Digests) -> None:
    for entry in PUBLISHED:
        (file, *rest) = entry.files
        if not rest and file.file_name == path.name:
            raise InputError(
                f"{path} is named like {entry.name} but is not that file ({file.checksum_text}; "
                f"got Git blob {digests.git_blob}, SHA-256 {digests.sha256}): it is damaged, or "
                "another file. Download it again, or pass --any-checksum if it is your own."
            )
