"""What a monitor learns of notifications."""

from __future__ import annotations

import pytest
from receivers import Receiver, Reply, segment

from wsgn.runtime.events import RunEvent
from wsgn.runtime.notify.addresses import read_address
from wsgn.runtime.notify.notifier import open_notifier
from wsgn.runtime.notify.options import NotifyOptions


def test_a_monitor_counts_what_arrives_and_fails() -> None:
    pytest.importorskip("prometheus_client", reason="the extra serve is not installed")
    from wsgn.runtime.serve.metrics import Metrics

    metrics = Metrics()
    with Receiver([Reply(status=404)]) as receiver:
        notifier = open_notifier(NotifyOptions(addresses=(read_address(receiver.url),)))
        metrics.counts |= notifier.counts()
        for event in (RunEvent(version="1", engine="e", engine_sha256="0"), segment(1), segment(2)):
            notifier(event)
        notifier.close(lambda: False)
    lines = metrics.text().decode().splitlines()
    target = f'{{target="http://127.0.0.1:{receiver.port}"}}'
    for name, number in (("delivered", 1), ("failures", 1), ("dropped", 0)):
        assert f"wsgn_notify_{name}_total{target} {number}.0" in lines
