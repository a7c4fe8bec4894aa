"""The live page of a run, where one is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wsgn.errors import MissingExtraError

from ..serve.address import ServeAddress, listen
from .console import Console

if TYPE_CHECKING:
    from ..serve.app import LivePage


@contextmanager
def opened_page(
    address: ServeAddress | None, classes: Sequence[str], run: str, console: Console
) -> Iterator[LivePage | None]:
    """The page, served while the context is open; None where no address is given.

    Raises `UsageError` where the address is not free, `MissingExtraError`.
    """
    if address is None:
        yield None
        return
    try:
        from ..serve.app import open_live_page
        from ..serve.server import serving
    except ImportError as error:
        raise MissingExtraError(f"--serve ({error.name})", "serve") from error
    page = open_live_page(classes, run=run)
    listening = listen(address)
    url = address.url(listening.getsockname()[1])
    with serving(page, listening, address.token):
        token = "" if address.token is None else "?token=... (what WSGN_TOKEN holds)"
        console.say(f"the live page is at {url}{token}")
        yield page
