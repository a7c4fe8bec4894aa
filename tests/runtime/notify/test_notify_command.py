"""`wsgn-run --notify`: over files and live sources, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import documents
import planted
import pytest
from broker import Broker
from outcomes import Run
from receivers import Receiver, Reply

from wsgn.errors import UsageError
from wsgn.runtime.cli.options import parse_options
from wsgn.runtime.notify.addresses import Webhook, read_address
from wsgn.runtime.notify.messages import Message
from wsgn.runtime.notify.webhook import WebhookSender

SECRET = "hUnter2"


def test_final_segments_of_files_are_sent(run: Run, video_path: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.mp4"
    with Receiver() as receiver:
        outcome = run(missing, video_path, "--notify", receiver.url)
        expected = [event for event in outcome.of_type("segment") if event["final"]]
        received = [one.event for one in receiver.take(len(planted.SEGMENTS))]
        assert receiver.is_quiet
    assert len({event.pop("run") for event in received}) == 1
    assert {event.pop("source") for event in received} == {str(video_path)}
    assert received == expected


def test_events_of_live_sources_are_sent_and_no_secret_is_told(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("paho.mqtt.client", reason="paho-mqtt (extra mqtt) is not installed")
    monkeypatch.setenv("HOOK", f"{SECRET}/{SECRET}")
    scenes = (("black", 0.5), ("red", 1.5), ("black", 1.5))
    video = planted.write_video(tmp_path / "film.mp4", scenes)
    words = ["--realtime", "--drop", "never", "--source-name", "door", "-v", "-o", tmp_path / "out"]
    words += ["--state", tmp_path / "state"]
    with Receiver([Reply(status=404)]) as receiver, Broker(account=("cam", SECRET)) as broker:
        words += ["--notify", f"{receiver.url}/${{HOOK}}"]
        words += ["--notify", f"mqtt://cam:{SECRET}@127.0.0.1:{broker.port}/home"]
        outcome = run(video, *words)
        taken = [one.event["type"] for one in receiver.take(2)]
        seen = broker.wait_until(lambda found: found[-1].body == b"false")
    assert outcome.code == 0
    assert taken == ["start", "segment"]
    assert [found.topic for found in seen if not found.retain] == [
        "home/door/start",
        "home/door/segment",
    ]
    sentence = f"notifications to http://127.0.0.1:{receiver.port}: the server answers with 404"
    assert sentence in outcome.err
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 2
    told = outcome.err.encode() + repr(outcome.events).encode() + b"".join(written)
    assert SECRET.encode() not in told


def test_what_does_not_arrive_is_said_and_changes_no_exit_code(
    run: Run, video_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsgn.runtime.notify.notifier._PATIENCE_SECONDS", 0.3)
    with Receiver() as gone:
        pass
    # The second address of a host has a number.
    urls = ["--notify", gone.url, "--notify", f"{gone.url}/{SECRET}"]
    outcome = run(video_path, *urls, "--notify-min-score", "0.1")
    assert outcome.code == 0
    shown = f"http://127.0.0.1:{gone.port}"
    for name in (shown, f"{shown} (2)"):
        assert f"notifications to {name}: the server refuses connections" in outcome.err
        assert f"2 notifications to {name} did not arrive before the end" in outcome.err
    assert SECRET not in outcome.err
    with Receiver([Reply(status=404), Reply(status=404)]) as refusing:
        outcome = run(video_path, "--notify", refusing.url, "--notify-min-score", "0.1")
    assert (outcome.code, outcome.err.count("answers with 404")) == (0, 1)
    assert f"2 notifications to http://127.0.0.1:{refusing.port} were refused." in outcome.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--notify", "hook"], "begins with https://"),
        (["--notify", "https://a/b", "--notify", "https://a/b"], "the same address twice"),
        (["--notify", "https://a/${NOPE_NOPE}"], "the environment has no NOPE_NOPE"),
        (["--notify", "http://a/b"], "--notify-http"),
        (["--notify-http"], "--notify-http needs --notify"),
        (["--notify-min-score", "0.5"], "--notify-min-score needs --notify"),
        (["--notify", "https://a/b", "--notify-min-score", "nan"], "a finite number"),
    ],
)
def test_words_without_a_meaning(words: list[str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence.replace("$", r"\$")):
        parse_options(["a.mp4", "-e", "demo", *words])


def test_brokers_keep_nothing_of_files() -> None:
    pytest.importorskip("paho.mqtt.client", reason="paho-mqtt (extra mqtt) is not installed")
    words = ["a.mp4", "-e", "demo", "--notify", "mqtt://a/b"]
    kept = [parse_options(words + more).notify for more in ([], ["--realtime"])]
    assert [one is not None and one.keeps_states for one in kept] == [False, True]


def test_an_empty_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSGN_NOTIFY_SECRET", "")
    with pytest.raises(UsageError, match="WSGN_NOTIFY_SECRET is empty"):
        parse_options(["a.mp4", "-e", "demo", "--notify", "https://a/b"])


def test_a_broker_without_its_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wsgn.runtime.notify.mqtt", raising=False)
    monkeypatch.delattr("wsgn.runtime.notify.mqtt", raising=False)
    monkeypatch.setitem(sys.modules, "paho", None)
    with pytest.raises(ImportError, match=r"wsgn\[mqtt\]"):
        parse_options(["a.mp4", "-e", "demo", "--notify", "mqtt://a/b"])


def test_the_receiver_of_the_page_takes_what_is_signed_with_its_secret() -> None:
    blocks = documents.blocks(documents.read_page("docs/notify.md"))
    (block,) = (one for one in blocks if one.kind == "python")
    with Receiver() as free:
        port = free.port
    code = block.text.replace("8000", str(port))
    environment = os.environ | {"WSGN_NOTIFY_SECRET": "between us"}
    command = [sys.executable, "-c", code]
    message = Message(run="r", seq=7, type="status", source="door", body=b'{"seq": 7}')
    address = read_address(f"http://127.0.0.1:{port}")
    assert isinstance(address, Webhook)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            found = []
            # The first one also waits until the server is there.
            for secret in (b"between us", b"another", None):
                sender = WebhookSender(address, secret, wait_seconds=(0.05,))
                sender.put(message)
                while not sender.outbox.is_empty:
                    assert server.poll() is None
                    time.sleep(0.01)
                sender.stop()
                found.append(sender.outbox.delivery().num_delivered)
        finally:
            server.kill()
        assert server.stdout is not None
        assert server.stdout.read() == "{'seq': 7}\n"
    assert found == [1, 0, 0]
