"""What a video that cannot be read raises."""

from __future__ import annotations

from wsgn.errors import InputError


class VideoError(InputError):
    """A video cannot be read; `code` names the cause for programs, the text names it for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
