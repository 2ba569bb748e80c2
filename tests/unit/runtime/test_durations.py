"""Durations as HOCON has them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from dateutil.relativedelta import relativedelta
from dialog_runtime.config.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30 minutes", 1800),
        ("30m", 1800),
        ("1 second", 1),
        ("1.5 s", 1.5),
        (" 2 hours ", 7200),
        ("500", 0.5),
        (500, 0.5),
        ("500ms", 0.5),
        ("3 d", 259200),
        ("1w", 604800),
        ("7 us", 7e-6),
        ("1000 ns", 1e-6),
        (relativedelta(minutes=30), 1800),
        (timedelta(seconds=3), 3),
    ],
)
def test_read(text: object, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "fast", "5 dogs", "-1 s", True, None, [], relativedelta(months=1)])
def test_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a duration such as"):
        parse_duration(text)
