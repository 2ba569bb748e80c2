"""The kinds of values that keys of ``server.conf`` have, each with the words for what is allowed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, SecretStr
from pydantic_core import CoreSchema, core_schema


def _kebab(name: str) -> str:
    return name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Between:
    """Says that a whole number lies between two others, both included."""

    least: int
    most: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        """Check before pydantic does, so that both ends are named whatever is wrong."""
        return core_schema.no_info_before_validator_function(self._checked, handler(source))

    def _checked(self, value: object) -> int:
        number = None if isinstance(value, bool) else _whole(value)
        if number is None or not self.least <= number <= self.most:
            raise ValueError(f"a whole number from {self.least} to {self.most}")
        return number


def _whole(value: object) -> int | None:
    try:
        return int(value) if isinstance(value, int | str) else None
    except ValueError:
        return None


class Section(BaseModel):
    """A block of ``server.conf``: keys are written with dashes, unknown ones are somebody else's."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, alias_generator=_kebab, hide_input_in_errors=True
    )


def _text(value: object) -> object:
    # An unquoted 1234 is a number to HOCON; for a user name or a password it is text.
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _json_object(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        parsed = json.loads(value or "{}")
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ValueError(
            'an object such as { transport = tcp }, or JSON in quotes such as "{\\"transport\\": \\"tcp\\"}"'
        )
    return parsed


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("a duration above zero")
    return value


def _servers(value: object) -> object:
    parts = value.split(",") if isinstance(value, str) else value
    return [part.strip() for part in parts if part.strip()] if isinstance(parts, list) else parts


Text = Annotated[str, BeforeValidator(_text)]
"""Text, also where it looks like a number."""
Secret = Annotated[SecretStr, BeforeValidator(_text)]
"""Text that is never shown."""
JsonObject = Annotated[dict[str, Any], BeforeValidator(_json_object)]
"""A HOCON object, or the same as JSON in a string."""
Port = Annotated[int, Between(1, 65535)]
"""A TCP or UDP port."""
Above0 = AfterValidator(_positive)
"""Says that a duration must be above zero."""
Servers = Annotated[tuple[str, ...], BeforeValidator(_servers), Field(min_length=1)]
"""``host:port`` pairs: a list, or one string with commas."""
