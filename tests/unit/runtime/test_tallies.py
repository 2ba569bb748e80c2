"""Metrics that are counted with an addition say what those of prometheus_client say."""

from __future__ import annotations

from dialog_runtime.metrics import Metrics


def _lines(metrics: Metrics) -> list[str]:
    kept = [line for line in metrics.render().decode().splitlines() if "dialog_sip_" in line]
    return sorted(line for line in kept if "_created" not in line)


def test_a_tally_reads_like_a_counter() -> None:
    tallied, counted = Metrics(), Metrics()
    tally = tallied.tally("answers_total", "Answers.", "code")
    counter = counted.counter("answers_total", "Answers.", ["code"])
    for code in ("200", "401", "200"):
        tally.of[code] += 1
        counter.labels(code).inc()
    assert _lines(tallied) == _lines(counted)


def test_a_tally_without_a_label_is_there_from_the_start() -> None:
    tallied, counted = Metrics(), Metrics()
    tally, counter = tallied.tally("sent_total", "Sent."), counted.counter("sent_total", "Sent.")
    assert _lines(tallied) == _lines(counted)
    tally.of[""] += 2
    counter.inc(2)
    assert _lines(tallied) == _lines(counted)


def test_durations_read_like_a_histogram() -> None:
    tallied, counted = Metrics(), Metrics()
    durations = tallied.durations("wait_seconds", "Waiting.", (0.1, 1))
    histogram = counted.histogram("wait_seconds", "Waiting.", buckets=(0.1, 1))
    for seconds in (0.05, 0.1, 0.5, 7):
        durations.observe(seconds)
        histogram.observe(seconds)
    assert _lines(tallied) == _lines(counted)
