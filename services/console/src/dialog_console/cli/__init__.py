"""The ``dialog-sip`` command: one module a subcommand, listed in :data:`dialog_console.cli.app.COMMANDS`."""
