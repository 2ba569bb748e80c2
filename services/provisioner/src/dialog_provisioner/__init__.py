"""Keeps sip_user_mappings: autocreates rows, watches edits, publishes every change."""
