"""How a command joins the bus: where there is none it says so in one line and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from dialog_console.cli import bus
from dialog_sandbox.errors import SandboxError, WrongConfigurationError


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


async def _nothing(_: object) -> None:
    raise AssertionError("there is no Kafka")


def test_without_a_broker_nothing_but_the_error_is_said(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bus, "WITHIN", 0.5)
    with pytest.raises(SandboxError, match=r"no Kafka at 127.0.0.1:1$"):
        bus.run(bus.kafka_settings(None, "127.0.0.1:1", "dialog."), _nothing)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("address", "prefix", "words"), [("bogus", "dialog.", "--kafka: host:port pairs"), ("h:1", "a b", "--prefix: ")]
)
def test_an_address_that_is_none_is_said(address: str, prefix: str, words: str) -> None:
    with pytest.raises(WrongConfigurationError, match=words):
        bus.kafka_settings(None, address, prefix)
