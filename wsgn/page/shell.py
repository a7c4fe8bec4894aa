"""A whole HTML page as one text: style, scripts and data inside, nothing fetched, no markup run.

The policy names the scripts by their checksums: what else stands in a page never runs.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from wsgn.support.terminal import without_surrogates

# What a page may show besides itself: pictures and a video, beside it or inside it.
_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self' file: data: blob:; "
    "media-src 'self' file: data: blob:"
)

# Which pages are of this project, and may be replaced.
_MARK = '<meta name="generator" content="wsgn">'
_MARK_WITHIN_BYTES = 4096


def render_page(
    title: str,
    body: str,
    data: object = None,
    scripts: Sequence[str] = (),
    *,
    styles: Sequence[str] = (),
    may_connect: bool = False,
    refresh_seconds: int | None = None,
) -> str:
    """The page.

    Args:
        title: of the tab; plain text.
        body: HTML, built by functions that escape (`parts.py`).
        data: JSON that the scripts find as `page.data`.
        scripts: texts of scripts, of `asset` or a package's own, run in this order at the end of
            the page, behind `base.js`.
        styles: texts of styles, behind `style.css`.
        may_connect: whether scripts may ask the server that the page came from.
        refresh_seconds: after how long a browser is to read the page again; never by default.
    """
    style = "\n".join([asset("style.css"), *styles])
    scripts = (asset("base.js"), *scripts)
    policy = "; ".join(
        [
            _POLICY,
            f"style-src {_checksum(style)}",
            f"script-src {' '.join(_checksum(script) for script in scripts)}",
            *(["connect-src 'self'"] if may_connect else []),
        ]
    )
    refresh = (
        ""
        if refresh_seconds is None
        else f'<meta http-equiv="refresh" content="{refresh_seconds}">\n'
    )
    code = "\n".join(f"<script>{script}</script>" for script in scripts)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n{_MARK}\n{refresh}'
        f"<title>{text(title)}</title>\n<style>{style}</style>\n<body>\n{body}\n"
        f"{island(data, name='page-data')}\n{code}\n</body>\n</html>\n"
    )


def is_page(path: Path) -> bool:
    """Whether a file is a page of this project. Raises `OSError`."""
    with path.open("rb") as file:
        return _MARK.encode() in file.read(_MARK_WITHIN_BYTES)


def text(value: object) -> str:
    """Plain text as HTML, in quotes too."""
    return html.escape(without_surrogates(str(value)))


def island(data: object, *, name: str = "") -> str:
    """JSON inside a page, which nothing in it can end."""
    words = without_surrogates(
        json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    )
    # In strings alone; JSON reads both as the letters that they are.
    words = words.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f'<script type="application/json"{f" id={name}" if name else ""}>{words}</script>'


def asset(name: str, package: str = "wsgn.page") -> str:
    """The text of a style or script that lies in a package."""
    found = files(package).joinpath(name).read_text("utf-8")
    if "</s" in found.lower() or "<!--" in found:
        raise ValueError(f"{name} would end its own element")
    return found


def _checksum(content: str) -> str:
    """As a policy names an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
