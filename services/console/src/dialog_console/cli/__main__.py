"""``python -m dialog_console.cli``: what the launcher ``dialog-sip`` becomes."""

from __future__ import annotations

from dialog_console.cli.app import main

main()
