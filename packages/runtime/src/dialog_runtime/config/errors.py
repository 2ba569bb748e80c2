"""What is wrong with a configuration, in one line for the one who has to mend it."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dialog_runtime.config.locate import Locator, Place

_SECRETS = {"password", "credential", "key-password"}
_SHOWN_WHOLE = {"parameters", "headers"}
"""Blocks that are values."""
_LONGEST_VALUE = 80

_ALLOWED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "model_type": "a block { ... }",
    "dict_type": "a block { ... }",
    "model_attributes_type": "a block { ... }",
    "path_type": "a path",
}
"""pydantic's error types that have better words."""


class ConfigError(Exception):
    """``server.conf`` cannot be used; ``str()`` is one line with file, line, key, value and what is allowed."""

    def __init__(self, place: Place | str, problem: str) -> None:
        super().__init__(" ".join(f"{place}: {problem}".split()))


class WrongKeyError(ValueError):
    """Raised by a validator of a block to blame one key in it."""

    def __init__(self, key: str, allowed: str) -> None:
        super().__init__(allowed)
        self.key = key


def explain(error: ValidationError, locator: Locator) -> ConfigError:
    """Return the first problem, in the order of the file."""
    problems = [_problem(details, locator) for details in error.errors(include_url=False)]
    place, words = min(problems, key=lambda problem: (problem[0].file, problem[0].line))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ConfigError(place, words + more)


def _problem(details: ErrorDetails, locator: Locator) -> tuple[Place, str]:
    path = tuple(str(part) for part in details["loc"])
    value: Any = details["input"]
    blamed = details.get("ctx", {}).get("error")
    if isinstance(blamed, WrongKeyError):
        path += (blamed.key,)
        value = value.get(blamed.key) if isinstance(value, dict) else None
    key = ".".join(path)
    shown = _shown(path, value)
    said = f"{key} is not set" if shown is None or details["type"] == "missing" else f"{key} = {shown}"
    return locator.place(path), f"{said}: allowed is {_allowed(details)}"


def _allowed(details: ErrorDetails) -> str:
    words = _ALLOWED.get(details["type"]) or details["msg"]
    if details["type"] == "string_pattern_mismatch":
        return f"text that matches {details['ctx']['pattern']}"
    for prefix in ("Value error, ", "Input should be "):
        words = words.removeprefix(prefix)
    return words


def _shown(path: tuple[str, ...], value: object) -> str | None:
    if value is None or value == "":
        return None
    if path[-1] in _SECRETS:
        return "***"
    if isinstance(value, dict) and path[-1] not in _SHOWN_WHOLE:
        return "{...}"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
