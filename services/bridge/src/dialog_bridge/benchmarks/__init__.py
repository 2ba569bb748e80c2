"""Measurements of the bridge's own hot paths."""
