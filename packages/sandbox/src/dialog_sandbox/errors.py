"""What can go wrong with a part of the sandbox, in one line for a person."""

from __future__ import annotations


class SandboxError(Exception):
    """A part of the sandbox cannot be prepared or started. The message is one line, fit to be shown as it is."""
