"""What waits for one receiver, and how it goes: shared by the run and the sender's thread."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .messages import Message

# Messages that wait; events of a busy day, and some hundred kilobytes.
MOST_WAITING = 1000
# After a trouble has ended, before the next one is told.
_QUIET_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What became of the messages for one receiver."""

    # As it may be shown.
    receiver: str
    num_delivered: int
    num_waiting: int
    # Left out as the oldest of too many that waited.
    num_dropped: int
    # Given back for good by the receiver.
    num_refused: int
    # Attempts that failed.
    num_failures: int


class Outbox:
    """Messages for one receiver, the oldest first; a full one lets go of its oldest."""

    def __init__(
        self,
        receiver: str,
        *,
        capacity: int = MOST_WAITING,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receiver = receiver
        self._capacity = capacity
        self._lock = threading.Lock()
        self._waiting: deque[Message] = deque()
        # Taken out, and not known to have arrived.
        self._num_on_the_way = 0
        self._num_delivered = self._num_dropped = self._num_refused = self._num_failures = 0
        # Whether what fails is tried again; None where nothing fails.
        self._troubled: bool | None = None
        # Whether people heard of it, and when they may hear of the next one.
        self._is_told = False
        self._monotonic = monotonic
        self._quiet_until = -math.inf
        self._dropped_before = 0
        self._news: list[str] = []
        # Set where there is something to do for the sender's thread.
        self.wake = threading.Event()

    def put(self, message: Message) -> None:
        """Add one."""
        with self._lock:
            if len(self._waiting) == self._capacity:
                self._waiting.popleft()
                self._num_dropped += 1
            self._waiting.append(message)
        self.wake.set()

    def first(self) -> Message | None:
        """The one that waits longest, and stays."""
        with self._lock:
            return self._waiting[0] if self._waiting else None

    def take(self) -> Message | None:
        """The one that waits longest, out of the box: it is on the way then."""
        with self._lock:
            if not self._waiting:
                return None
            self._num_on_the_way += 1
            return self._waiting.popleft()

    def arrived(self) -> None:
        """One that was on the way is delivered."""
        with self._lock:
            self._num_on_the_way -= 1
            self._num_delivered += 1

    def remove(self, message: Message, *, delivered: bool) -> None:
        """The first one is delivered or refused; it may have been dropped in the meantime."""
        with self._lock:
            if self._waiting and self._waiting[0] is message:
                self._waiting.popleft()
            else:
                self._num_dropped -= 1
            if delivered:
                self._num_delivered += 1
            else:
                self._num_refused += 1

    def failed(self, trouble: str, *, is_tried_again: bool) -> None:
        """An attempt failed; people hear of it once, and seldom of what comes and goes."""
        with self._lock:
            self._num_failures += 1
            if self._troubled == is_tried_again:
                return
            is_first, self._troubled = self._troubled is None, is_tried_again
            if is_first:
                self._dropped_before = self._num_dropped
                self._is_told = self._monotonic() >= self._quiet_until
            if self._is_told:
                goes_on = "it is tried again" if is_tried_again else "the event is left out"
                self._news.append(f"notifications to {self._receiver}: {trouble}; {goes_on}.")

    def works(self) -> None:
        """The receiver takes messages; people hear of it where they heard of a trouble."""
        with self._lock:
            if self._troubled is None:
                return
            self._troubled = None
            if not self._is_told:
                return
            self._quiet_until = self._monotonic() + _QUIET_SECONDS
            num_lost = self._num_dropped - self._dropped_before
            lost = f"; the oldest {num_lost} were left out" if num_lost else ""
            self._news.append(f"notifications to {self._receiver} arrive again{lost}.")

    def take_news(self) -> list[str]:
        """Sentences for people, each once."""
        with self._lock:
            news, self._news = self._news, []
            return news

    @property
    def is_empty(self) -> bool:
        """Whether all that was put in has left, and arrived or was refused."""
        with self._lock:
            return not self._waiting and not self._num_on_the_way

    def delivery(self) -> Delivery:
        """What became of the messages until now."""
        with self._lock:
            return Delivery(
                receiver=self._receiver,
                num_delivered=self._num_delivered,
                num_waiting=len(self._waiting) + self._num_on_the_way,
                num_dropped=self._num_dropped,
                num_refused=self._num_refused,
                num_failures=self._num_failures,
            )
