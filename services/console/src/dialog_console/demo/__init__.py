"""The demo: plays the dialog server and its client against a running system, and checks what it hears."""
