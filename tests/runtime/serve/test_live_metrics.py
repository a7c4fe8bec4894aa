"""What Prometheus is told, read by its own parser."""

from __future__ import annotations

import dataclasses

import pytest
from prometheus_client.parser import text_string_to_metric_families
from served import changed, opened, run_event, segment, source_statistics, started, statistics

from wsgn.runtime.serve import metrics as made
from wsgn.runtime.serve.metrics import Metrics

Found = dict[tuple[str, ...], float]


def read(metrics: Metrics) -> Found:
    """By name and the values of labels in the order of their names."""
    return {
        (one.name, *(one.labels[name] for name in sorted(one.labels))): one.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for one in family.samples
    }


def test_sources_are_what_their_statistics_say() -> None:
    metrics = Metrics()
    metrics.hear(run_event())
    metrics.ticked(statistics(door="restored", yard="lost"))
    found = read(metrics)
    assert found["wsgn_info", "ab12", "1.2"] == 1
    assert (found["wsgn_source_up", "door"], found["wsgn_source_up", "yard"]) == (1, 0)
    of_door = {name: value for (name, *labels), value in found.items() if labels == ["door"]}
    assert of_door == {
        "wsgn_source_up": 1,
        "wsgn_pictures_total": 7,
        "wsgn_snippets_total": 3,
        "wsgn_dropped_snippets_total": 1,
        "wsgn_skipped_packets_total": 4,
        "wsgn_decode_failures_total": 0,
        "wsgn_lag_seconds": 0.25,
        "wsgn_last_picture_unix_seconds": 1_795_900_009.0,
        "wsgn_waiting_snippets": 5,
    }
    assert found["process_cpu_seconds_total",] > 0
    # One that never had a picture has no last one.
    never = dataclasses.replace(
        statistics(), sources={"door": source_statistics("waiting", epoch=-1)}
    )
    metrics.ticked(never)
    assert ("wsgn_last_picture_unix_seconds", "door") not in read(metrics)


def test_events_losses_and_batches_are_counted() -> None:
    metrics = Metrics()
    for event in (
        opened("door"), started("door", 1, "wave", 2.0), segment("door", 1, "wave", 2.0, 4.0),
        changed("door", "lost", "timeout"), changed("door", "restored"),
        changed("door", "lost", "timeout"), changed("door", "restored"),
        # Not late any more: it never was away.
        changed("door", "late", "late"), changed("door", "restored"),
        changed("yard", "waiting", "refused"), changed("yard", "restored"),
    ):  # fmt: skip
        metrics.hear(event)
    metrics.landed(1, 0.004)
    metrics.landed(16, 0.2)
    found = read(metrics)
    # Labels: label, source, type; cause, source.
    assert found["wsgn_events_total", "wave", "door", "segment"] == 1
    assert found["wsgn_events_total", "", "door", "status"] == 6
    restarts = {key: n for key, n in found.items() if key[0] == "wsgn_restarts_total"}
    assert restarts == {("wsgn_restarts_total", "timeout", "door"): 2}
    assert found["wsgn_engine_batch_snippets_sum",] == 17
    assert found["wsgn_engine_batch_snippets_bucket", "1.0"] == 1
    assert found["wsgn_engine_seconds_count",] == 2
    assert not [key for key in found if key[0].endswith("_created")]


def test_names_that_would_break_a_line_do_not() -> None:
    metrics = Metrics()
    name = 'a"b\\c\nwsgn_source_up{source="x"} 9'
    metrics.hear(dataclasses.replace(started(name, 1, "wa\nve", 2.0)))
    metrics.ticked(statistics(**{name: "lost"}))
    found = read(metrics)
    assert found["wsgn_source_up", name] == 0
    assert found["wsgn_events_total", "wa\nve", name, "start"] == 1
    assert ("wsgn_source_up", "x") not in found


def test_series_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "_MOST_SERIES", 3)
    metrics = Metrics()
    for n in range(9):
        metrics.hear(started(f"s{n}", 1, "wave", 2.0))
    metrics.ticked(statistics(**{f"s{n}": "lost" for n in range(9)}))
    found = read(metrics)
    counted = {key: n for key, n in found.items() if key[0] == "wsgn_events_total"}
    assert len(counted) == 4
    assert counted["wsgn_events_total", "other", "other", "other"] == 6
    assert len([key for key in found if key[0] == "wsgn_source_up"]) == 3


def test_others_may_count_too() -> None:
    metrics = Metrics()
    metrics.counts["wsgn_notify_failures_total", "Failures."] = lambda: {"https://a/***": 4}
    assert read(metrics)["wsgn_notify_failures_total", "https://a/***"] == 4
