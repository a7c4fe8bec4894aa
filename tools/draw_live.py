"""Draws the picture of the live page in docs/: two cameras that film the sample, one cut a while.

python tools/draw_live.py docs/pictures/live.png
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.chromium import Browser
from benchmarks.live_runs import DEMO, LiveRun, RtspServer, free_port, sample_clip
from wsgn.support.command import run_command

# CSS pixels.
WIDTH, HEIGHT = 1180, 720
COLOURS = 256
# Between what the two film, and the part of the time after which the second one is cut.
APART_SECONDS = 11.0
CUT_AT = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Film, look on, and keep what is seen."""

    def work() -> int:
        parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
        parser.add_argument("output", type=Path, metavar="FILE.png")
        parser.add_argument("--seconds", type=float, default=62.0, metavar="S")
        words = parser.parse_args(argv)
        words.output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder), words.output, words.seconds)
        return 0

    return run_command("draw_live.py", work)


def draw(folder: Path, output: Path, seconds: float) -> None:
    """The picture, in few colours, which make it small."""
    port = free_port()
    browser = Browser(folder / "profile")
    try:
        with RtspServer() as server:
            door, yard = (server.add(name, sample_clip()) for name in ("door", "yard"))
            yard.began -= APART_SECONDS
            names = ["--source-name", "door", "--source-name", "yard"]
            words = [door.url, yard.url, *names, "-e", str(DEMO), "--serve", str(port)]
            with LiveRun(words, folder=folder) as run:
                run.wait_for(lambda: len(run.of("source")) == 2, "a picture")
                time.sleep(CUT_AT * seconds)
                yard.cut()
                run.wait_for(lambda: bool(run.of("status")), "the loss")
                time.sleep((1 - CUT_AT) * seconds)
                photograph(browser, port, folder / "page.png")
                run.stop()
    finally:
        browser.close()
    with Image.open(folder / "page.png") as page:
        small = page.convert("RGB").quantize(COLOURS, kmeans=2, dither=Image.Dither.NONE)
    contents = io.BytesIO()
    small.save(contents, "PNG", optimize=True)
    output.write_bytes(contents.getvalue())


def photograph(browser: Browser, port: int, path: Path) -> None:
    """The page as it is now."""
    browser.size(WIDTH, HEIGHT)
    browser.open(f"http://127.0.0.1:{port}/")
    browser.wait("document.querySelectorAll('.shown.seen').length === 2")
    browser.run("new Promise(done => setTimeout(done, 600))")
    browser.picture(path, whole=False)


if __name__ == "__main__":
    sys.exit(main())
