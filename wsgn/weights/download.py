"""Downloads of published weights, when asked to: whole, checked, or not at all."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from wsgn.errors import InputError, OutputError, UsageError
from wsgn.support.files import AtomicFile, output_errors
from wsgn.support.progress import progress_bar
from wsgn.weights.digests import file_digests, is_same_file
from wsgn.weights.published import PublishedFile, PublishedWeights

_TIMEOUT_SECONDS = 60.0
_CHUNK_BYTES = 1 << 20
_THIS_MACHINE = ("127.0.0.1", "localhost")


def download_weights(weights: PublishedWeights, folder: Path) -> list[Path]:
    """Fetch the files of one entry into a folder; those that are there already are checked only.

    TensorFlow's two files, which have the same names everywhere, get a folder of their own in it.
    """
    if len(weights.files) > 1:
        folder = folder / weights.name.rpartition("/")[2]
    return [download_file(file, folder) for file in weights.files]


def download_file(file: PublishedFile, folder: Path) -> Path:
    """Fetch one file over https and check size and checksum before it gets its name.

    Raises `InputError` where the source fails or sends something else, `OutputError` where the
    folder cannot be written.
    """
    _require_safe(file.url)
    target = folder / file.file_name
    if target.is_file():
        if is_same_file(file_digests(target), file):
            return target
        raise OutputError(f"{target} is there already and is another file; move it away first.")
    with output_errors(target), AtomicFile(target) as received:
        _receive(file, received)
        _check(file, received.temporary)
    return target


def _receive(file: PublishedFile, stream: AtomicFile) -> None:
    request = Request(file.url, headers={"User-Agent": "wsgn-weights"})
    try:
        with build_opener(_SafeRedirects).open(request, timeout=_TIMEOUT_SECONDS) as response:
            announced = response.headers.get("Content-Length")
            total = int(announced) if announced else file.size_bytes
            bar = progress_bar(
                wanted=True, total=total, unit="B", unit_scale=True, desc=file.file_name
            )
            num_received = 0
            with bar as progress:
                while chunk := response.read(_CHUNK_BYTES):
                    stream.write(chunk)
                    num_received += len(chunk)
                    progress.update(len(chunk))
            if announced and num_received != int(announced):
                raise InputError(
                    f"{file.url} ended after {num_received:,} of {int(announced):,} bytes; "
                    "try again."
                )
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise InputError(f"{file.url} cannot be downloaded: {reason}.") from error


def _check(file: PublishedFile, path: Path) -> None:
    size = path.stat().st_size
    if file.size_bytes is not None and size != file.size_bytes:
        raise InputError(f"{file.url} sent {size:,} bytes instead of {file.size_bytes:,}.")
    if not is_same_file(file_digests(path), file):
        raise InputError(
            f"{file.url} sent a file whose checksum is not the published one "
            f"({file.checksum_text}); nothing was kept."
        )


class _SafeRedirects(HTTPRedirectHandler):
    """Follows redirects, but never away from https."""

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers, newurl
    ):
        """The next request; a `UsageError` where it would not be safe."""
        _require_safe(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_safe(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _THIS_MACHINE):
        raise UsageError(f"weights are downloaded over https only, not from {url}.")
