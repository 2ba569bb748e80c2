"""Where in a HOCON text each key stands: pyhocon does not say, and an administrator wants the line.

A scanner, not a second parser: it trusts that pyhocon has accepted the text, follows nested braces, dotted and quoted
keys, comments and includes of files, and notes for each path the last place that sets it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

Path_ = tuple[str, ...]

_MAX_INCLUDES = 10
_BLANK = re.compile(r"(?:[\s,]|#[^\n]*|//[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_INCLUDE = re.compile(r'include\s+(?:required\s*\(\s*)?(?:file\s*\(\s*)?"([^"\n]+)"[ \t)]*')
_QUOTED = re.compile(r'"""(.*?)"""|"((?:[^"\\\n]|\\.)*)"', re.DOTALL)
_BARE_KEY = re.compile(r'[^\s"={}\[\]:+,#.]+(?:[ \t]+[^\s"={}\[\]:+,#.]+)*')
_ASSIGN = re.compile(r"\s*(?:\+=|=|:)\s*")
_SCALAR = re.compile(r'(?:"""(?s:.*?)"""|"(?:[^"\\\n]|\\.)*"|\$\{[^}\n]*\}|//[^\n]*|#[^\n]*|[^\n,{}\[\]#"])*')


@dataclass(frozen=True, slots=True)
class Place:
    """File and line (from 1) where a key is set, and the value as it is written there."""

    file: str
    line: int
    raw: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(slots=True)
class _Scanner:
    text: str
    file: Path
    places: dict[Path_, Place]
    depth: int = 0
    at: int = 0
    _line: tuple[int, int] = field(default=(0, 1))

    def scan(self, prefix: Path_) -> None:
        """Read the entries of one object, up to its closing brace or the end."""
        while True:
            self._skip(_BLANK)
            if self.at >= len(self.text) or self._take("}"):
                return
            if self._include(prefix):
                continue
            before = self.at
            path = prefix + self._key()
            self._value(path)
            if self.at == before:
                self.at += 1

    def _value(self, path: Path_) -> None:
        line = self._line_here()
        self._skip(_ASSIGN)
        self._skip(_BLANK if self.text[self.at : self.at + 1] in {"#", "/"} else _SPACE)
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in "\n,}]":
            before = self.at
            self._piece(path)
            if self.at == before:
                self.at += 1
        raw = re.split(r"\s*(?:#|//)", self.text[start : self.at])[0].strip()
        self.places[path] = Place(str(self.file), line, raw)

    def _piece(self, path: Path_) -> None:
        if self._take("{"):
            self.scan(path)
        elif self._take("["):
            self._list(path)
        else:
            self._skip(_SCALAR)

    def _list(self, path: Path_) -> None:
        index = 0
        while True:
            self._skip(_BLANK)
            if self.at >= len(self.text) or self._take("]"):
                return
            before = self.at
            self._value((*path, str(index)))
            index += 1
            if self.at == before:
                self.at += 1

    def _key(self) -> Path_:
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            if match := _QUOTED.match(self.text, self.at):
                parts.append(match[1] if match[1] is not None else match[2])
            elif match := _BARE_KEY.match(self.text, self.at):
                parts.append(match[0])
            else:
                return tuple(parts)
            self.at = match.end()
            if not self._take("."):
                return tuple(parts)

    def _include(self, prefix: Path_) -> bool:
        match = _INCLUDE.match(self.text, self.at)
        if match is None:
            return False
        self.at = match.end()
        file = self.file.parent / match[1]
        if self.depth < _MAX_INCLUDES and file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            _Scanner(text, file, self.places, self.depth + 1).scan(prefix)
        return True

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()

    def _take(self, character: str) -> bool:
        if not self.text.startswith(character, self.at):
            return False
        self.at += 1
        return True

    def _line_here(self) -> int:
        position, line = self._line
        line += self.text.count("\n", position, self.at)
        self._line = (self.at, line)
        return line


@dataclass(frozen=True, slots=True)
class Locator:
    """The places of a file's keys."""

    file: str
    places: dict[Path_, Place]

    def place(self, path: Path_) -> Place:
        """Return where ``path`` is set, else where the nearest block round it is, else line 1."""
        for length in range(len(path), 0, -1):
            if (found := self.places.get(path[:length])) is not None:
                return found
        return Place(self.file, 1)

    def raw(self, path: Path_) -> str | None:
        """Return the value of ``path`` as it is written, where it is one bare word or number."""
        place = self.places.get(path)
        if place is None or place.raw is None or re.search(r'["${}\[\]]', place.raw):
            return None
        return place.raw


def locate(text: str, file: Path) -> Locator:
    """Scan ``text``, the content of ``file``."""
    places: dict[Path_, Place] = {}
    scanner = _Scanner(text, file, places)
    if match := re.match(r"(?:\s|#[^\n]*|//[^\n]*)*\{", text):
        scanner.at = match.end()
    scanner.scan(())
    return Locator(str(file), places)
