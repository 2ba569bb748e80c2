"""The kinds of values that keys of ``server.conf`` have, each with the words for what is allowed."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, SecretStr
from pydantic_core import CoreSchema, core_schema

from dialog_runtime.table import fields

_HOST_PORT = re.compile(r"(?P<host>[^:\[\]]+|\[[^\]]+\]):(?P<port>\d{1,5})")
_ICE_URL = re.compile(
    r"(?:stuns?|turns?):(?P<host>[^:\[\]?]+|\[[^\]]+\])(?::(?P<port>\d{1,5}))?(?:\?transport=(?:udp|tcp))?"
)
_LAST_PORT = 65535


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


def _host(value: str) -> str:
    if not value:
        return value
    try:
        if re.fullmatch(r"[\d.]+", value):
            return str(ipaddress.IPv4Address(value))
        return value if ":" in value and ipaddress.IPv6Address(value) else fields.sip_host(value)
    except ValueError:
        raise ValueError("a host name or an address") from None


def _is_at(match: re.Match[str] | None) -> bool:
    """Tell whether what matched has a host and, where it has one, a port that can be."""
    if match is None or not 1 <= int(match["port"] or 1) <= _LAST_PORT:
        return False
    try:
        return bool(_host(match["host"].strip("[]")))
    except ValueError:
        return False


def _host_ports(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not all(_is_at(_HOST_PORT.fullmatch(server)) for server in value):
        raise ValueError("host:port pairs such as kafka-1.example.com:9092, as a list or in one string with commas")
    return value


def _ice_url(value: str) -> str:
    if not _is_at(_ICE_URL.fullmatch(value)):
        raise ValueError("a STUN or TURN URL such as stun:stun.example.com or turn:turn.example.com:3478?transport=tcp")
    return value


def _readable(value: Path) -> Path:
    if not value.is_file() or not os.access(value, os.R_OK):
        raise ValueError("a file that is there and can be read")
    return value


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
Host = Annotated[str, BeforeValidator(_text), AfterValidator(_host)]
"""A host name or an IP address; empty where it is not given."""
IceUrl = Annotated[str, AfterValidator(_ice_url)]
"""RFC 7064, RFC 7065."""
ReadableFile = Annotated[Path, AfterValidator(_readable)]
"""A file that is there."""
Servers = Annotated[tuple[str, ...], BeforeValidator(_servers), AfterValidator(_host_ports)]
"""``host:port`` pairs: a list, or one string with commas."""
