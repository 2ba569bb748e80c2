"""``python -m dialog_console.cli``: what the launcher ``dialog-sip`` becomes."""

from __future__ import annotations

from dialog_console.cli.interrupts import end_at_once

end_at_once()

from dialog_console.cli.app import main  # noqa: E402  it takes a while

main()
