"""A WebRTC client without a browser: plays the messenger's client in the demo and in tests.

:class:`WebClient` speaks descriptions and candidates as strings; whoever uses it carries them. It sends a tone and
measures the one that comes back.
"""

from dialog_sandbox.webrtc.client import WebClient
from dialog_sandbox.webrtc.tone import ToneMeter, ToneReading, share_of_tone, sine

__all__ = ["ToneMeter", "ToneReading", "WebClient", "share_of_tone", "sine"]
