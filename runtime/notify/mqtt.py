"""Events to an MQTT broker, and what each source does.

PREFIX/SOURCE/start, /segment and /status carry events and are never retained: a broker would give
the last of them to everybody who subscribes later, and what they set off would go off again.
Retained are PREFIX/SOURCE/state, and PREFIX/online, which the broker itself sets to false where the
run is gone.
"""

from __future__ import annotations

import re
import ssl
import threading
import uuid
from collections import deque
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from wsgn.support.terminal import json_text, without_surrogates

from .addresses import Broker
from .messages import Message
from .outbox import Outbox

# After so long without a word from the broker it is asked whether it is there.
_KEEPALIVE_SECONDS = 30
_CONNECT_SECONDS = 5.0
# Between attempts to connect: 1, 2, 4 ... 60 s.
_WAIT_SECONDS = (1, 60)
# Events that the broker has not acknowledged.
_MOST_ON_THE_WAY = 20
# What means something in a topic, and what is no text.
_SPECIAL = re.compile(r"[\x00-\x1f\x7f-\x9f%/+#]")
# Letters; a topic has 65,535 bytes at most.
_LONGEST_SOURCE = 8_000
# How often the farewell is looked after.
_LOOK_SECONDS = 0.05


class MqttSender:
    """Sends what is in its outbox, from a thread of its own; paho's thread holds the connection."""

    def __init__(self, broker: Broker) -> None:
        self.outbox = Outbox(broker.shown)
        self._prefix = broker.prefix
        # Bodies of the retained state of each source; with those that the broker does not have yet.
        self._lock = threading.Lock()
        self._states: dict[str, bytes] = {}
        self._changed: set[str] = set()
        self._connected = False
        # Whether it has said of this connection that it takes or refuses it.
        self._answered = False
        # Whether the broker is to be told what it may have forgotten.
        self._is_new = False
        self._stopped = False
        # Numbers of paho's for events that the broker has not acknowledged, and those that it has.
        self._on_the_way: set[int] = set()
        self._acknowledged: deque[int] = deque()
        self._client = self._made_client(broker)
        self._thread = threading.Thread(target=self._run, name="notify mqtt", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Send it when its turn comes."""
        self.outbox.put(message)

    def see(self, source: str, state: str, at_unix_seconds: float | None) -> None:
        """The state of a source from now on."""
        body = json_text({"state": state, "at_unix_seconds": at_unix_seconds}).encode()
        with self._lock:
            self._states[source] = body
            self._changed.add(source)
        self.outbox.wake.set()

    def end(self) -> None:
        """Nothing: it sends at once whatever it can."""

    def stop(self) -> None:
        """Say that the run is over, and end."""
        self._stopped = True
        self.outbox.wake.set()

    def join(self, patience_seconds: float) -> None:
        """Wait for that; what takes longer is left to itself."""
        self._thread.join(patience_seconds)

    def _made_client(self, broker: Broker) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"wsgn-{uuid.uuid4().hex[:16]}",
            protocol=paho.MQTTv311,
        )
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.uses_tls:
            client.tls_set_context(ssl.create_default_context())
        client.will_set(f"{broker.prefix}/online", b"false", qos=1, retain=True)
        client.reconnect_delay_set(*_WAIT_SECONDS)
        # How many events are on the way is bounded here, and states are few.
        client.max_inflight_messages_set(0)
        client.connect_timeout = _CONNECT_SECONDS
        client.connect_async(broker.host, broker.port, keepalive=_KEEPALIVE_SECONDS)
        client.loop_start()
        return client

    def _run(self) -> None:
        while not self._stopped:
            self.outbox.wake.wait()
            self.outbox.wake.clear()
            self._count_what_arrived()
            if self._connected:
                self._publish_states()
                self._publish_events()
        if self._connected:
            self._publish_states()
            farewell = self._publish("online", b"false", retain=True)
            while self._connected and farewell not in self._acknowledged:
                self.outbox.wake.wait(_LOOK_SECONDS)
                self.outbox.wake.clear()
        # Behind the farewell: it takes the will back. It ends paho's thread, too.
        self._client.disconnect()

    def _publish_states(self) -> None:
        """What is retained, as far as the broker may not have it."""
        with self._lock:
            is_new, self._is_new = self._is_new, False
            names = list(self._states) if is_new else list(self._changed)
            self._changed.clear()
            states = {name: self._states[name] for name in names}
        if is_new:
            self._publish("online", b"true", retain=True)
        for name, body in states.items():
            self._publish(f"{topic_of(name)}/state", body, retain=True)

    def _publish_events(self) -> None:
        while len(self._on_the_way) < _MOST_ON_THE_WAY:
            message = self.outbox.take()
            if message is None:
                return
            topic = f"{topic_of(message.source)}/{message.type}"
            self._on_the_way.add(self._publish(topic, message.body))

    def _publish(self, topic: str, body: bytes, *, retain: bool = False) -> int:
        """Hand it to paho, which sends it again where the connection breaks; its number there."""
        topic = f"{self._prefix}/{topic}"
        return self._client.publish(topic, body, qos=1, retain=retain).mid

    def _count_what_arrived(self) -> None:
        while self._acknowledged:
            mid = self._acknowledged.popleft()
            # Others are of what is retained.
            if mid in self._on_the_way:
                self._on_the_way.remove(mid)
                self.outbox.arrived()

    def _on_connect(
        self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any
    ) -> None:
        self._answered = True
        if code.is_failure:
            # The words are paho's own, such as Not authorized.
            self.outbox.failed(f"the broker refuses ({code})".lower(), is_tried_again=True)
            return
        self.outbox.works()
        with self._lock:
            self._is_new = self._connected = True
        self.outbox.wake.set()

    def _on_publish(self, client: Any, userdata: Any, mid: int, code: Any, properties: Any) -> None:
        self._acknowledged.append(mid)
        self.outbox.wake.set()

    def _on_connect_fail(self, client: Any, userdata: Any) -> None:
        self.outbox.failed("the broker cannot be reached", is_tried_again=True)

    def _on_disconnect(
        self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any
    ) -> None:
        was_connected, self._connected = self._connected, False
        was_answered, self._answered = self._answered, False
        if self._stopped:
            return
        if was_connected:
            self.outbox.failed("the connection to the broker is lost", is_tried_again=True)
        elif not was_answered:
            words = "what answers there lets nobody in as an MQTT broker does"
            self.outbox.failed(words, is_tried_again=True)


def topic_of(source: str) -> str:
    """A source's name as one level of a topic: what means something there is escaped as in URLs."""
    plain = without_surrogates(source)[:_LONGEST_SOURCE]
    return _SPECIAL.sub(lambda found: f"%{ord(found[0]):02X}", plain)
