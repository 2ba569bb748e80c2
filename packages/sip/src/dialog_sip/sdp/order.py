"""The order of lines in a description, and behind ``m=`` in a media section (RFC 8866 section 5)."""

from __future__ import annotations

from collections.abc import Iterable

from dialog_sip.sdp.values import Line

_ORDER = ("v", "o", "s", "i", "u", "e", "p", "c", "b", "trz", "k")
"""``r=`` and ``z=`` belong to the ``t=`` before them and keep their place behind it."""
_RANKS = {letter: rank for rank, letters in enumerate(_ORDER) for letter in letters}


def in_order(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Sort lines other than ``a=``; unknown ones go to the end, equals keep their places (RFC 8866 section 5)."""
    return tuple(sorted(lines, key=lambda line: _RANKS.get(line.type, len(_ORDER))))
