"""Events by POST: signed, once each, tried again where that helps."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable

import pytest
from receivers import HANG_SECONDS, Receiver, Reply, segment, start, status

from wsgn.runtime.events import Event, ProgressEvent, RunEvent
from wsgn.runtime.notify.addresses import read_address
from wsgn.runtime.notify.messages import Message, Messages
from wsgn.runtime.notify.outbox import Outbox
from wsgn.runtime.notify.webhook import WAIT_SECONDS, Webhook, WebhookSender

RUN = RunEvent(version="1", engine="e", engine_sha256="0")
SECRET = b"between us"


def sender(url: str, **settings: object) -> WebhookSender:
    webhook = read_address(url)
    assert isinstance(webhook, Webhook)
    settings = {"wait_seconds": (0.01, 0.02), "timeout_seconds": HANG_SECONDS} | settings
    return WebhookSender(webhook, **settings)  # type: ignore[arg-type]


def message(seq: int) -> Message:
    return Message(run="r", seq=seq, type="status", source="door", body=b'{"seq": %d}' % seq)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def sent(events: list[Event], **settings: object) -> list[tuple[str, int]]:
    messages = Messages(**settings)  # type: ignore[arg-type]
    made = [messages.take(event) for event in events]
    return [(one.type, one.seq) for one in made if one is not None]


def test_a_request_says_who_sends_what_and_can_be_proved() -> None:
    messages = Messages()
    messages.take(RUN)
    with Receiver() as receiver:
        url = receiver.url.replace("//", "//us%40er:pass@") + "?room=1"
        posting = sender(url, secret=SECRET)
        made = messages.take(segment())
        assert made is not None
        posting.put(made)
        received = receiver.next()
        posting.stop()
        posting.join(HANG_SECONDS)
    assert received.path == "/hook?room=1"
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["Idempotency-Key"] == f"{messages.run}/1"
    assert received.headers["Authorization"] == "Basic dXNAZXI6cGFzcw=="
    proof = hmac.new(SECRET, received.body, hashlib.sha256).hexdigest()
    assert received.headers["Wsgn-Signature"] == f"sha256={proof}"
    event = received.event
    assert (event["run"], event["seq"], event["source"]) == (messages.run, 1, "door")
    assert (event["type"], event["score"], event["final"]) == ("segment", 0.5, True)


def test_what_is_sent() -> None:
    progress = ProgressEvent(source="door", at_seconds=1.0, duration_seconds=None)
    events = [RUN, start(1), progress, segment(1, final=False), segment(1), status(), segment(2)]
    # Numbers are those of the lines on stdout, where progress has none.
    assert sent(events) == [("start", 1), ("segment", 3), ("status", 4), ("segment", 5)]
    # Where it may be taken back, or its score may be too low, a start is not sent.
    without = [("segment", 3), ("status", 4), ("segment", 5)]
    assert sent(events, sends_starts=False) == without
    assert sent(events, minimum_score=0.5) == without
    assert sent(events, minimum_score=0.51) == [("status", 4)]


@pytest.mark.parametrize(
    "reply",
    [Reply(status=500), Reply(status=503), Reply(status=429), Reply(status=408)],
    ids=lambda reply: str(reply.status),
)
def test_what_may_pass_is_tried_again_in_order(reply: Reply) -> None:
    with Receiver([reply, reply]) as receiver:
        posting = sender(receiver.url)
        posting.put(message(1))
        posting.put(message(2))
        keys = [one.headers["Idempotency-Key"] for one in receiver.take(4)]
        assert keys == ["r/1", "r/1", "r/1", "r/2"]
        wait_until(lambda: posting.outbox.is_empty)
        posting.stop()
        assert receiver.is_quiet
        news = posting.outbox.take_news()
    assert len(news) == 2
    assert f"answers with {reply.status}" in news[0]
    assert "tried again" in news[0]
    assert "arrive again" in news[1]
    found = posting.outbox.delivery()
    assert (found.num_delivered, found.num_failures, found.num_refused) == (2, 2, 0)


@pytest.mark.parametrize("code", [400, 401, 404, 410, 301, 302, 307, 308])
def test_what_is_refused_is_left_out_and_counted(code: int) -> None:
    with Receiver() as elsewhere:
        there = (("Location", elsewhere.url),)
        with Receiver([Reply(status=code, headers=there)]) as receiver:
            posting = sender(receiver.url, secret=SECRET)
            posting.put(message(1))
            posting.put(message(2))
            keys = [one.headers["Idempotency-Key"] for one in receiver.take(2)]
            wait_until(lambda: posting.outbox.is_empty)
            posting.stop()
        # A redirect is not followed.
        assert elsewhere.is_quiet
    assert keys == ["r/1", "r/2"]
    found = posting.outbox.delivery()
    assert (found.num_delivered, found.num_refused) == (1, 1)
    assert f"answers with {code}" in posting.outbox.take_news()[0]


def test_a_server_that_is_mute_or_away_is_tried_again() -> None:
    with Receiver([Reply(is_mute=True)]) as receiver:
        posting = sender(receiver.url, timeout_seconds=0.2)
        posting.put(message(1))
        assert [one.headers["Idempotency-Key"] for one in receiver.take(2)] == ["r/1", "r/1"]
        wait_until(lambda: posting.outbox.is_empty)
    posting.put(message(2))
    wait_until(lambda: posting.outbox.delivery().num_failures > 2)
    with Receiver(port=receiver.port) as again:
        assert again.next().headers["Idempotency-Key"] == "r/2"
        wait_until(lambda: posting.outbox.is_empty)
        posting.stop()


def test_waits_grow_and_a_server_may_ask_for_longer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(WebhookSender, "_pause", lambda self, seconds: waited.append(seconds))
    asked = Reply(status=503, headers=(("Retry-After", "600"),))
    odd = Reply(status=503, headers=(("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"),))
    later = [Reply(status=500)]
    with Receiver([*later * 8, asked, odd, Reply(), *later]) as receiver:
        posting = sender(receiver.url, wait_seconds=WAIT_SECONDS)
        posting.put(message(1))
        posting.put(message(2))
        receiver.take(13)
        wait_until(lambda: posting.outbox.is_empty)
        posting.stop()
    assert waited == [1, 2, 4, 8, 16, 32, 60, 60, 600, 60, 1]


def test_a_full_box_lets_go_of_the_oldest() -> None:
    box = Outbox("https://there", capacity=3)
    first = message(0)
    box.put(first)
    box.failed("it is away", is_tried_again=True)
    for seq in range(1, 5):
        box.put(message(seq))
    assert (box.delivery().num_waiting, box.delivery().num_dropped) == (3, 2)
    assert "it is away" in box.take_news()[0]
    # One that was sent while it was dropped is not lost.
    box.remove(first, delivered=True)
    assert (box.delivery().num_delivered, box.delivery().num_dropped) == (1, 1)
    box.works()
    assert box.take_news() == [
        "notifications to https://there arrive again; the oldest 1 were left out."
    ]
    seqs = []
    while (found := box.take()) is not None:
        seqs.append(found.seq)
    assert seqs == [2, 3, 4]


def test_people_hear_seldom_of_what_comes_and_goes() -> None:
    now = 0.0
    box = Outbox("https://there", monotonic=lambda: now)
    for _ in range(3):
        box.failed("it is away", is_tried_again=True)
        box.works()
    assert len(box.take_news()) == 2
    now = 61.0
    box.failed("it is away", is_tried_again=True)
    assert len(box.take_news()) == 1
