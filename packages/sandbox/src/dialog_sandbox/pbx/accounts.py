"""Who may register and call: anybody who knows the common password, or those of a file."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr, TypeAdapter, ValidationError

from dialog_sandbox.errors import SandboxError

_FILE = TypeAdapter(dict[str, SecretStr])


class Accounts:
    """User name -> password. ``common`` is everybody's who is not in ``named``; without it there are no others."""

    def __init__(self, common: SecretStr | None, named: dict[str, SecretStr] | None = None) -> None:
        self._common = common
        self._named = named or {}

    @classmethod
    def read(cls, path: Path | None, common: SecretStr | None) -> Accounts:
        """Read a JSON object of user -> password. Raises :class:`SandboxError` with the reason."""
        if path is None:
            return cls(common)
        try:
            return cls(common, _FILE.validate_json(path.read_bytes()))
        except OSError as error:
            raise SandboxError(f"accounts file {path}: {error.strerror}") from None
        except ValidationError:
            # Its words would show what is in the file.
            raise SandboxError(f"accounts file {path}: not a JSON object of user -> password") from None

    def password_of(self, user: str) -> str | None:
        """Return the password of a user; None for nobody of ours."""
        found = self._named.get(user, self._common)
        return None if found is None else found.get_secret_value()
