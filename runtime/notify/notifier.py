"""Notifications of a run: a listener to its events, and the senders behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from ..events import Event
from .addresses import Address, Broker
from .messages import Message, Messages, state_after
from .options import NotifyOptions
from .outbox import Delivery, Outbox

# At the end of a run: so long after the last message that arrived.
_PATIENCE_SECONDS = 10.0
# After Ctrl-C, and once more for senders to say farewell.
_LAST_SECONDS = 0.5
_LOOK_SECONDS = 0.05
# Name, words, and what of a delivery.
_TOTALS: tuple[tuple[str, str, Callable[[Delivery], int]], ...] = (
    ("delivered", "Events that a receiver has taken.", lambda one: one.num_delivered),
    ("failures", "Attempts that failed.", lambda one: one.num_failures),
    ("dropped", "The oldest of too many that waited.", lambda one: one.num_dropped),
)


class Sender(Protocol):
    """Sends messages to one receiver; nothing of it waits or raises, but `join`."""

    outbox: Outbox

    def put(self, message: Message) -> None:
        """Send a message when its turn comes."""
        ...

    def see(self, source: str, state: str, at_unix_seconds: float | None) -> None:
        """A source does something else from now on."""
        ...

    def end(self) -> None:
        """No more messages come."""
        ...

    def stop(self) -> None:
        """Let go of the receiver."""
        ...

    def join(self, patience_seconds: float) -> None:
        """Wait until that is done, but no longer."""
        ...


class Notifier:
    """Hears the events of a run, the run's own first, and sends some of them."""

    def __init__(
        self, messages: Messages, senders: Sequence[Sender], *, keeps_states: bool = True
    ) -> None:
        self._messages = messages
        self._senders = senders
        self._keeps_states = keeps_states
        self._states: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        """Take an event; at once, whatever the receivers do."""
        message = self._messages.take(event)
        if self._keeps_states:
            self._see(event)
        if message is not None:
            for sender in self._senders:
                sender.put(message)

    def _see(self, event: Event) -> None:
        state, source = state_after(event), event.source or ""
        # What has failed says its end, too.
        if state is None or (state == "ended" and self._states.get(source) == "failed"):
            return
        self._states[source] = state
        for sender in self._senders:
            sender.see(source, state, event.at_unix_seconds)

    def news(self) -> list[str]:
        """Sentences for people about receivers that fail or work again, each once."""
        return [text for sender in self._senders for text in sender.outbox.take_news()]

    def deliveries(self) -> tuple[Delivery, ...]:
        """What became of the messages, by receiver."""
        return tuple(sender.outbox.delivery() for sender in self._senders)

    def counts(self) -> dict[tuple[str, str], Callable[[], dict[str, int]]]:
        """Totals by receiver, for who collects metrics; by their names and words."""
        return {
            (f"wsgn_notify_{name}_total", words): partial(self._counted, read)
            for name, words, read in _TOTALS
        }

    def _counted(self, read: Callable[[Delivery], int]) -> dict[str, int]:
        return {found.receiver: read(found) for found in self.deliveries()}

    def close(self, is_hurried: Callable[[], bool]) -> list[str]:
        """Send what waits as long as it arrives, a moment only in a hurry; then last sentences."""
        for sender in self._senders:
            sender.end()
        self._wait(is_hurried)
        for sender in self._senders:
            sender.stop()
        deadline = time.monotonic() + _LAST_SECONDS
        for sender in self._senders:
            sender.join(max(0.0, deadline - time.monotonic()))
        return self.news() + [text for found in self.deliveries() for text in _losses(found)]

    def _wait(self, is_hurried: Callable[[], bool]) -> None:
        done, since = self._num_done(), time.monotonic()
        while not all(sender.outbox.is_empty for sender in self._senders):
            hurried = is_hurried()
            if time.monotonic() - since > (_LAST_SECONDS if hurried else _PATIENCE_SECONDS):
                return
            time.sleep(_LOOK_SECONDS)
            if not hurried and self._num_done() > done:
                done, since = self._num_done(), time.monotonic()

    def _num_done(self) -> int:
        return sum(found.num_delivered + found.num_refused for found in self.deliveries())


def _losses(found: Delivery) -> list[str]:
    """What did not arrive, for people."""
    kinds = {
        "did not arrive before the end": found.num_waiting,
        "were left out, as more waited than are kept": found.num_dropped,
        "were refused": found.num_refused,
    }
    return [
        f"{number} notifications to {found.receiver} {words}."
        for words, number in kinds.items()
        if number
    ]


def open_notifier(options: NotifyOptions, run: str | None = None) -> Notifier:
    """A notifier whose senders run."""
    return Notifier(
        Messages(minimum_score=options.minimum_score, sends_starts=options.sends_starts, run=run),
        [_sender(address, options) for address in options.addresses],
        keeps_states=options.keeps_states,
    )


@contextmanager
def opened_notifier(
    options: NotifyOptions | None,
    say: Callable[[str], None],
    is_hurried: Callable[[], bool],
    run: str | None = None,
) -> Iterator[Notifier | None]:
    """A notifier for as long as a run goes, if one is wanted; `say` takes its last sentences."""
    if options is None:
        yield None
        return
    notifier = open_notifier(options, run)
    # A run that fails has said enough, and waits for nobody.
    has_failed = True
    try:
        yield notifier
        has_failed = False
    finally:
        for text in notifier.close(lambda: has_failed or is_hurried()):
            say(text)


def _sender(address: Address, options: NotifyOptions) -> Sender:
    if isinstance(address, Broker):
        from .mqtt import MqttSender

        return MqttSender(address)
    from .webhook import WebhookSender

    return WebhookSender(address, options.secret)
