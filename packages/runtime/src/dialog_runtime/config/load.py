"""Read ``server.conf``: pyhocon for the syntax, ``reference.conf`` for the defaults, the models for the values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pyhocon import ConfigFactory
from pyhocon.config_tree import NoneValue
from pyhocon.exceptions import ConfigException
from pyparsing import ParseBaseException

from dialog_runtime.config.errors import ConfigError, explain
from dialog_runtime.config.locate import Locator, Place, locate
from dialog_runtime.config.settings import Settings

_SUBSTITUTION_PLACE = re.compile(r"(.*?)\s*\(line: (\d+), col: \d+\)")


def load_settings(path: str | Path) -> Settings:
    """Return the settings of the dialog server's configuration file. Raises :class:`ConfigError`."""
    file = Path(path)
    text = _read(file)
    tree = _parse(text, file)
    locator = locate(text, file)
    own = _as_written(_plain(tree), locator, ())
    try:
        return Settings.model_validate(_merged(reference(), own))
    except ValidationError as error:
        raise explain(error, locator) from None


def reference() -> dict[str, Any]:
    """Return the defaults, from the ``reference.conf`` of this package."""
    text = reference_text()
    tree: dict[str, Any] = _plain(ConfigFactory.parse_string(text))
    return tree


def reference_text() -> str:
    """Return ``reference.conf`` as it stands: every key with its meaning and default."""
    return resources.files("dialog_runtime.config").joinpath("reference.conf").read_text(encoding="utf-8")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(file), f"cannot be read: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(file), f"is not UTF-8 (byte {error.start})") from None


def _parse(text: str, file: Path) -> Mapping[str, Any]:
    try:
        tree: Mapping[str, Any] | list[Any] = ConfigFactory.parse_string(text, basedir=str(file.parent))
    except ParseBaseException as error:
        # pyparsing quotes the place, never a value.
        raise ConfigError(Place(str(file), error.lineno), f"not HOCON: {error.msg} in column {error.column}") from None
    except ConfigException as error:
        raise _syntax_error(str(error), file) from None
    except (OSError, RecursionError, ValueError) as error:
        raise ConfigError(str(file), f"not HOCON: {type(error).__name__}") from None
    if isinstance(tree, list):
        raise ConfigError(Place(str(file), 1), "not a configuration: an object is expected, here is a list")
    return tree


def _syntax_error(words: str, file: Path) -> ConfigError:
    match = _SUBSTITUTION_PLACE.fullmatch(words)
    return ConfigError(Place(str(file), int(match[2])), match[1]) if match else ConfigError(str(file), words)


def _plain(value: Any) -> Any:  # noqa: ANN401  any HOCON value
    if isinstance(value, Mapping):
        return {str(key).strip('"'): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, NoneValue) else value


def _as_written(value: Any, locator: Locator, path: tuple[str, ...]) -> Any:  # noqa: ANN401  any HOCON value
    """Put back what HOCON took for a number or a period: a password 007 is not 7, a user 5d no five days."""
    if isinstance(value, dict):
        return {key: _as_written(item, locator, (*path, key)) for key, item in value.items()}
    if isinstance(value, str | list) or value is None:
        return value
    raw = locator.raw(path)
    return value if raw is None or raw.lower() == str(value).lower() else raw


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
