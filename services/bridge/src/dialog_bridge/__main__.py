"""The command ``dialog-bridge``."""

from __future__ import annotations

from dialog_runtime.service import run
from dialog_schemas.instances import ServiceName

from dialog_bridge.bootstrap import build


def main() -> None:
    """Run the bridge until it is told to stop."""
    run(ServiceName.BRIDGE, build)


if __name__ == "__main__":
    main()
