"""Events by MQTT: what is kept by the broker, what is not, and what outlasts its death."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import pytest
from broker import Broker, Published
from receivers import HANG_SECONDS, Receiver, segment, start, status

from wsgn.runtime.events import EndEvent, ErrorEvent, Event, RunEvent, SourceEvent
from wsgn.runtime.notify.addresses import read_address
from wsgn.runtime.notify.messages import Message
from wsgn.runtime.notify.notifier import Notifier, open_notifier
from wsgn.runtime.notify.options import NotifyOptions
from wsgn.runtime.notify.outbox import MOST_WAITING, Delivery

paho = pytest.importorskip("paho.mqtt.client", reason="paho-mqtt (extra mqtt) is not installed")

from wsgn.runtime.notify.mqtt import MqttSender, topic_of  # noqa: E402

RUN = RunEvent(version="1", engine="e", engine_sha256="0")


def opened(source: str) -> SourceEvent:
    return SourceEvent(
        source=source,
        at_unix_seconds=1.0,
        duration_seconds=None,
        frame_rate=25.0,
        codec="h264",
        width=320,
        height=240,
        rotation_degrees=0,
        live=True,
    )


def ended(source: str) -> EndEvent:
    return EndEvent(
        source=source,
        at_unix_seconds=2.0,
        complete=True,
        seconds=1.0,
        frames=1,
        snippets=1,
        segments=0,
        decode_failures=0,
    )


def message(seq: int) -> Message:
    return Message(run="r", seq=seq, type="status", source="door", body=b"%d" % seq)


@contextmanager
def notifying(port: int, events: Sequence[Event] = ()) -> Iterator[Notifier]:
    options = NotifyOptions(addresses=(read_address(f"mqtt://127.0.0.1:{port}/home/cams"),))
    notifier = open_notifier(options)
    try:
        for event in (RUN, *events):
            notifier(event)
        yield notifier
    finally:
        notifier.close(lambda: True)


@contextmanager
def sending(port: int, user: str = "") -> Iterator[MqttSender]:
    broker = read_address(f"mqtt://{user}127.0.0.1:{port}")
    sender = MqttSender(broker)  # type: ignore[arg-type]
    try:
        yield sender
    finally:
        sender.stop()
        sender.join(HANG_SECONDS)
        # Also where the broker is gone.
        assert "notify mqtt" not in [thread.name for thread in threading.enumerate()]


def wait_for(sender: MqttSender, is_so: Callable[[Delivery], bool]) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not is_so(sender.outbox.delivery()):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def states(published: Sequence[Published]) -> list[tuple[str, str]]:
    return [
        (found.topic.split("/")[-2], json.loads(found.body)["state"])
        for found in published
        if found.topic.endswith("/state")
    ]


def bodies(published: Sequence[Published]) -> list[int]:
    return [int(found.body) for found in published if not found.retain]


def online(published: Sequence[Published]) -> list[bytes]:
    return [found.body for found in published if found.topic.endswith("/online")]


def test_topics_and_what_the_broker_keeps() -> None:
    with Broker() as broker:
        events = [opened("door"), start(), segment(), opened("back/yard"), status()]
        with notifying(broker.port, events):
            seen = broker.wait_until(
                lambda found: len(bodies_of(found)) == 3 and ("door", "lost") in states(found)
            )
        seen = broker.wait_until(lambda found: online(found)[-1] == b"false")
    sent = {found.topic: found for found in seen if not found.retain}
    assert list(sent) == [f"home/cams/door/{kind}" for kind in ("start", "segment", "status")]
    assert json.loads(sent["home/cams/door/segment"].body)["score"] == 0.5
    assert {found.qos for found in seen} == {1}
    kept = {found.topic for found in seen if found.retain}
    assert kept == {
        "home/cams/online",
        "home/cams/door/state",
        "home/cams/back%2Fyard/state",
    }
    assert ("back%2Fyard", "playing") in states(seen)
    assert online(seen) == [b"true", b"false"]


def bodies_of(published: Sequence[Published]) -> list[bytes]:
    return [found.body for found in published if not found.retain]


def test_who_comes_late_finds_states_and_no_events() -> None:
    late: queue.Queue[tuple[str, bytes, bool]] = queue.Queue()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.on_message = lambda client, data, it: late.put((it.topic, it.payload, it.retain))
    client.on_connect = lambda client, *_: client.subscribe("home/#")
    with Broker() as broker:
        events = [opened("door"), start(), opened("yard")]
        with notifying(broker.port, events) as notifier:
            broker.wait_until(lambda found: len(states(found)) == 2 and bool(bodies_of(found)))
            client.connect("127.0.0.1", broker.port)
            client.loop_start()
            found = [late.get(timeout=HANG_SECONDS) for _ in range(3)]
            notifier(segment())
            topic, body, is_kept = late.get(timeout=HANG_SECONDS)
        client.disconnect()
        client.loop_stop()
    assert {topic for topic, _, is_kept in found if is_kept} == {
        "home/cams/online",
        "home/cams/door/state",
        "home/cams/yard/state",
    }
    assert (topic, json.loads(body)["type"], is_kept) == (
        "home/cams/door/segment",
        "segment",
        False,
    )


def test_the_broker_says_when_the_run_is_gone_and_is_told_all_again() -> None:
    with Broker() as broker, notifying(broker.port, [opened("door"), opened("yard")]):
        broker.wait_until(lambda found: len(states(found)) == 2)
        broker.cut()
        seen = broker.wait_until(
            lambda found: len(states(found)) >= 4 and online(found)[-1] == b"true"
        )
    # What was not acknowledged before is sent twice. The one between is the run's last will.
    assert [told for told, _ in groupby(online(seen))] == [b"true", b"false", b"true"]
    assert set(states(seen)[2:]) == {("door", "playing"), ("yard", "playing")}


def test_a_killed_broker_costs_nothing_and_doubles_nothing() -> None:
    with Broker() as broker, sending(broker.port) as sender:
        sender.see("door", "playing", 1.0)
        for seq in range(50):
            sender.put(message(seq))
        wait_for(sender, lambda found: found.num_delivered == 50)
        assert bodies(broker.published) == [*range(50)]
        broker.kill()
        wait_for(sender, lambda found: found.num_failures > 0)
        for seq in range(50, 50 + MOST_WAITING + 10):
            sender.put(message(seq))
        with Broker(port=broker.port) as again:
            seen = again.wait_until(lambda found: 1059 in bodies(found))
            # The oldest went; all others come once and in order.
            assert bodies(seen) == [*range(60, 1060)]
            assert states(seen)[:1] == [("door", "playing")]
            assert online(seen) == [b"true"]
            news = sender.outbox.take_news()
    assert len(news) == 2
    assert "is lost" in news[0]
    assert "10 were left out" in news[1]
    assert sender.outbox.delivery().num_dropped == 10


def test_what_was_not_acknowledged_is_sent_again() -> None:
    with Broker() as broker, sending(broker.port) as sender:
        broker.is_mute = True
        for seq in range(50):
            sender.put(message(seq))
        before = bodies(broker.wait_until(lambda found: len(bodies(found)) == 20))
        # No more are on the way at a time.
        assert before == [*range(20)]
        broker.kill()
        with Broker(port=broker.port) as again:
            seen = again.wait_until(lambda found: 49 in bodies(found))
    assert bodies(seen) == [*range(50)]
    assert [found.dup for found in seen if not found.retain] == [True] * 20 + [False] * 30


def test_a_wrong_password_is_said_without_it() -> None:
    with Broker(account=("cam", "right")) as broker:
        with sending(broker.port, "cam:hUnter2@") as sender:
            wait_for(sender, lambda found: found.num_failures > 0)
        assert broker.published == []
        news = sender.outbox.take_news()
        assert "refuses (not authorized)" in news[0]
        assert "hUnter2" not in "".join(news)
        with sending(broker.port, "cam:right@") as sender:
            broker.wait_until(lambda found: online(found) == [b"true"])


def test_what_is_no_broker_is_said() -> None:
    """A web server, or TLS: it takes connections, and ends them."""
    with Receiver() as server, sending(server.port) as sender:
        wait_for(sender, lambda found: found.num_failures > 0)
        news = sender.outbox.take_news()
    assert "lets nobody in as an MQTT broker does; it is tried again" in news[0]


def test_the_last_words_of_a_run_arrive() -> None:
    lost = ErrorEvent(source="yard", at_unix_seconds=1.0, code="lost", message="it is given up.")
    with Broker() as broker:
        events = [opened("door"), opened("yard"), lost, ended("yard"), segment(), ended("door")]
        with notifying(broker.port, events) as notifier:
            assert notifier.close(lambda: False) == []
        seen = broker.wait_until(lambda found: b"false" in online(found))
        assert len(bodies_of(seen)) == 1
        last = dict(states(seen))
    assert last == {"door": "ended", "yard": "failed"}


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("door", "door"),
        ("back yard", "back yard"),
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%252Fb"),
        ("+", "%2B"),
        ("#1", "%231"),
        ("\0\n", "%00%0A"),
        ("caf\u00e9", "caf\u00e9"),
    ],
)
def test_names_are_one_level_of_a_topic(name: str, topic: str) -> None:
    assert topic_of(name) == topic
