"""HOCON durations and what pyhocon makes of them.

As in Typesafe config a number without a unit is in milliseconds: ``500`` and ``500 ms`` are the same; ``30 minutes``
and ``30m`` are.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from dateutil.relativedelta import relativedelta
from pydantic import BeforeValidator

ALLOWED = "a duration such as 30 minutes, 30m or 500 ms (a number alone is in milliseconds)"

_MICROSECONDS: dict[str, float] = {
    name: length
    for names, length in (
        ("ns nano nanos nanosecond nanoseconds", 0.001),
        ("us micro micros microsecond microseconds", 1),
        ("ms milli millis millisecond milliseconds", 1e3),
        ("s second seconds", 1e6),
        ("m minute minutes", 60e6),
        ("h hour hours", 3600e6),
        ("d day days", 86400e6),
        ("w week weeks", 7 * 86400e6),
    )
    for name in names.split()
}
_SHAPE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*")


def parse_duration(value: object) -> timedelta:
    """Return ``value`` as a duration. Raises :class:`ValueError` that says what is allowed."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, relativedelta):
        return _without_calendar(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(milliseconds=value)
    match = _SHAPE.fullmatch(value) if isinstance(value, str) else None
    length = None if match is None else _MICROSECONDS.get(match[2] or "ms")
    if match is None or length is None:
        raise ValueError(ALLOWED)
    return timedelta(microseconds=float(match[1]) * length)


def _without_calendar(value: relativedelta) -> timedelta:
    # pyhocon reads every unquoted period into this type; a month or a year has no fixed length.
    if value.months or value.years:
        raise ValueError(ALLOWED)
    return timedelta(
        days=value.days,
        hours=value.hours,
        minutes=value.minutes,
        seconds=value.seconds,
        microseconds=value.microseconds,
    )


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
"""A duration as HOCON writes it."""
