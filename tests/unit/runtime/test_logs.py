"""JSON lines, with ids, without secrets, and not 14,000 of them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from dialog_runtime.logging import bound, configure
from dialog_runtime.loglimit import RateLimit
from pydantic import SecretStr


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, structlog.get_config())
    stream = io.StringIO()
    configure("bridge", "bridge-1", "info", stream)
    yield stream
    root.handlers[:], root.level = before[0], before[1]
    structlog.reset_defaults()
    structlog.configure(**before[2])
    structlog.contextvars.clear_contextvars()


def read(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_carries_service_instance_and_the_ids_at_hand(lines: io.StringIO) -> None:
    log = structlog.get_logger("x")
    with bound(call_id="c-1", aor="434@pbx"):
        log.info("answered", code=200)
    log.debug("unseen")
    (line,) = read(lines)
    assert line["event"] == "answered"
    assert (line["service"], line["instance"], line["level"]) == ("bridge", "bridge-1", "info")
    assert (line["call_id"], line["aor"], line["code"]) == ("c-1", "434@pbx", 200)


def test_secrets_are_masked(lines: io.StringIO) -> None:
    structlog.get_logger("x").info("got", password="canary", sip_password="canary", it=SecretStr("canary"))
    assert "canary" not in lines.getvalue()


def test_a_trace_shows_no_local_variables(lines: io.StringIO) -> None:
    def fail(password: str) -> None:
        raise RuntimeError("boom")

    try:
        fail("can" + "ary")
    except RuntimeError:
        structlog.get_logger("x").exception("failed")
    assert "boom" in lines.getvalue()
    assert "canary" not in lines.getvalue()


def test_libraries_go_the_same_way(lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("odd %s", "thing")
    assert read(lines)[0]["event"] == "odd thing"
    assert read(lines)[0]["service"] == "bridge"


def test_aiokafka_is_limited_and_never_at_debug(lines: io.StringIO) -> None:
    log = logging.getLogger("aiokafka")
    log.debug("value=%s", "canary")
    log = logging.getLogger("aiokafka.made.later")
    for _ in range(1000):
        log.error("Unable connect to node with id %s", 1)
    assert len(read(lines)) == 1


def test_the_limit_counts_what_it_holds_back() -> None:
    now = [0.0]
    limit = RateLimit("x", every=10, now=lambda: now[0])

    def line(text: str) -> tuple[bool, str]:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, text, (), None)
        return limit.filter(record), record.getMessage()

    assert line("a") == (True, "a")
    assert not line("a")[0]
    assert not line("a")[0]
    assert line("b") == (True, "b")
    now[0] = 10
    assert line("a") == (True, "a (and 2 more like this)")
    assert not line("a")[0]


def test_the_limit_keeps_a_bounded_number_of_kinds() -> None:
    limit = RateLimit("x")
    for number in range(2000):
        limit.filter(logging.LogRecord("x", logging.ERROR, "f", 1, f"kind {number}", (), None))
    assert len(limit._kinds) <= 256
