"""What can go wrong with a part of the sandbox, in one line for a person."""

from __future__ import annotations


class SandboxError(Exception):
    """A part of the sandbox cannot be prepared or started. The message is one line, fit to be shown as it is."""

    exit_code = 1
    """What a command ends with that gives up for this."""


class WrongConfigurationError(SandboxError):
    """A value of somebody's own ``server.conf`` is wrong; ends as the services do for the same reason."""

    exit_code = 2
