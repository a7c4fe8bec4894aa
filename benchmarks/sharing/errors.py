"""What the comparison of forms may raise."""

from __future__ import annotations

from wsgn.errors import WsgnError


class SharingError(WsgnError):
    """A form did something else than one process."""
