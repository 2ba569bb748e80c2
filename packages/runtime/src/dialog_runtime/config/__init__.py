"""Configuration from the dialog server's own `server.conf`."""
