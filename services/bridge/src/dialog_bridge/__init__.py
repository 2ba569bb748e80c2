"""Joins SIP dialogs and WebRTC sessions, both directions."""
