"""A real browser without a window: Chromium over a pipe, by the DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/; nothing has to be installed but the browser.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wsgn.errors import UsageError

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Ends what hangs; no verdict depends on how fast a machine is.
HANG_SECONDS = 120.0


def find_browser() -> str | None:
    """Path of the browser: the one named in WSGN_BROWSER, or an installed one."""
    named = os.environ.get("WSGN_BROWSER")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One tab."""

    def __init__(self, profile: Path, *words: str) -> None:
        program = find_browser()
        if program is None:
            raise UsageError("no Chromium is installed, or named in WSGN_BROWSER.")
        into, self._write = os.pipe()
        self._read, out = os.pipe()

        def place() -> None:
            # It reads 3 and writes 4; copies first, since the pipes may have these numbers.
            ends = os.dup(into), os.dup(out)
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        flags += ["--remote-debugging-pipe", f"--user-data-dir={profile}", "--no-first-run"]
        flags += ["--disable-background-networking", "--disable-component-update"]
        self._process = subprocess.Popen(
            [program, *flags, *words, "about:blank"],
            preexec_fn=place,
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(into)
        os.close(out)
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._session: str | None = None
        # What the page said or did wrong, as texts.
        self.complaints: list[str] = []
        self.requests: list[str] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A call of the protocol, and its result."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], HANG_SECONDS)
            assert ready, "the browser does not answer"
            data = os.read(self._read, 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(line)
        self._take(answer.get("method"), answer.get("params", {}))
        return answer

    def _take(self, method: str | None, what: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(what["exceptionDetails"]))
        elif method == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
            # The advice is for tests, which read pixels.
            if not what["entry"]["text"].startswith("Canvas2D:"):
                self.complaints.append(what["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(what["args"]))
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"a dialog: {what['message']}")
            os.write(self._write, json.dumps({
                "id": next(self._numbers), "method": "Page.handleJavaScriptDialog",
                "params": {"accept": True}, "sessionId": self._session,
            }).encode() + b"\0")  # fmt: skip
        elif method == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])

    def size(self, width: int, height: int, *, dark: bool = False, scale: float = 1.0) -> None:
        """A screen of so many CSS pixels; narrow ones are those of a phone."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=width < 500,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        """Open a page, from nothing, and wait until it is there."""
        for one in ("about:blank", address):
            self.call("Page.navigate", url=one)
            self.wait(
                f"document.readyState === 'complete' && location.href.startsWith({one[:9]!r})"
            )

    def run(self, expression: str) -> Any:
        """The value of an expression in the page."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str, holds: Callable[[Any], bool] = bool) -> Any:
        """Wait until an expression in the page is true, or what `holds` asks of its value."""
        end = time.monotonic() + HANG_SECONDS
        while not holds(value := self.run(expression)):
            assert time.monotonic() < end, f"never: {expression}, which is {value!r}"
            time.sleep(0.02)
        return value

    def click(self, x: float, y: float) -> None:
        """A click with the left button, at CSS pixels of the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, key: str, text: str = "") -> None:
        """A key, down and up."""
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def touch(self, *paths: tuple[tuple[float, float], ...]) -> None:
        """Fingers that go down, along their paths of one length, and up again, all at once."""
        for step, points in enumerate(zip(*paths, strict=True)):
            fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
            kind = "touchMove" if step else "touchStart"
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A screenshot as PNG, of the whole page."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        """End it, with the processes that it started."""
        os.close(self._write)
        os.close(self._read)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)
            self._process.wait()
