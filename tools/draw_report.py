"""Draws the README's picture: the page of `wsgn-run --demo -o DIR`, as Chromium shows it.

python tools/draw_report.py docs/pictures/report.png
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.chromium import Browser
from wsgn.errors import EngineError
from wsgn.runtime.cli.main import main as wsgn_run
from wsgn.support.command import run_command

# CSS pixels, and how many of the picture's are one of them.
WIDTH, HEIGHT, SCALE = 1180, 900, 1.0
# What the figure does then is in the middle of an action.
SECONDS = 4.6
COLOURS = 256


def main(argv: Sequence[str] | None = None) -> int:
    """Make the page, open it, and keep what is seen."""

    def work() -> int:
        parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
        parser.add_argument("output", type=Path, metavar="FILE.png")
        output: Path = parser.parse_args(argv).output
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder), output)
        return 0

    return run_command("draw_report.py", work)


def draw(folder: Path, output: Path) -> None:
    """The picture, in few colours, which make it small."""
    if wsgn_run(["--demo", "-o", str(folder), "-q"]) != 0:
        raise EngineError("the demo did not run: see above.")
    browser = Browser(folder / "profile")
    try:
        browser.size(WIDTH, HEIGHT, scale=SCALE)
        browser.open(f"{(folder / 'demo.html').as_uri()}#t={SECONDS}")
        shown = "document.querySelector('video')"
        browser.wait(f"!{shown}.seeking && {shown}.readyState >= 2 && {shown}.currentTime > 1")
        # A still needs no controls over it.
        browser.run(f"{shown}.controls = false")
        browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        browser.picture(folder / "page.png")
    finally:
        browser.close()
    with Image.open(folder / "page.png") as page:
        small = page.convert("RGB").quantize(COLOURS, kmeans=2, dither=Image.Dither.NONE)
    contents = io.BytesIO()
    small.save(contents, "PNG", optimize=True)
    output.write_bytes(contents.getvalue())


if __name__ == "__main__":
    sys.exit(main())
