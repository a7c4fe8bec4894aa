"""Whether http(s) addresses are live: only their servers know."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue

from wsgn.video import VideoError
from wsgn.video.addresses import name_of_address
from wsgn.video.files import is_video_name
from wsgn.video.live.opening import ask_live

# Addresses that are asked at a time.
_MOST_QUESTIONS = 8
# Video files by their names, and streams too.
_MAYBE_LIVE = (".ts", ".mjpg", ".mjpeg", ".mpg", ".mpeg", ".m2ts", ".flv")


def answer_of(address: str, timeout_seconds: float) -> bool | None:
    """Whether an http(s) address is live; None where it cannot be opened now."""
    if is_file_by_name(address):
        return False
    try:
        return ask_live(address, timeout_seconds)
    except VideoError:
        return None


def is_file_by_name(address: str) -> bool:
    """Whether an address has the name of a video file; its server says how long it is."""
    name = name_of_address(address)
    return is_video_name(name) and not name.lower().endswith(_MAYBE_LIVE)


def answers_of(
    addresses: Iterable[str], ask: Callable[[str], bool | None]
) -> dict[str, bool | None]:
    """The answer about each of them, several asked at a time; Ctrl-C waits for none."""
    wanted = sorted(set(addresses))
    waiting: SimpleQueue[str] = SimpleQueue()
    answers: SimpleQueue[tuple[str, bool | None, BaseException | None]] = SimpleQueue()
    for address in wanted:
        waiting.put(address)

    def work() -> None:
        with suppress(Empty):
            while True:
                address = waiting.get_nowait()
                try:
                    answers.put((address, ask(address), None))
                except BaseException as error:  # The other thread raises it.
                    answers.put((address, None, error))

    # Not a pool: its threads are waited for when the process ends.
    for _ in range(min(_MOST_QUESTIONS, len(wanted))):
        threading.Thread(target=work, name="wsgn-asking", daemon=True).start()
    found: dict[str, bool | None] = {}
    for _ in wanted:
        address, answer, problem = answers.get()
        if problem is not None:
            raise problem
        found[address] = answer
    return found
