"""Configuration from the dialog server's own ``server.conf``."""

from dialog_runtime.config.errors import ConfigError
from dialog_runtime.config.load import load_settings, reference_text
from dialog_runtime.config.settings import Settings

__all__ = ["ConfigError", "Settings", "load_settings", "reference_text"]
