"""The media engine of the bridge: WebRTC on one side, plain RTP on the other, forwarded without decoding.

:class:`RelayEngine` is what ``bootstrap`` wires; :class:`MediaSettings` is what it needs to know. Inside:
:mod:`session` is offer and answer, :mod:`forwarder` the packets, :mod:`web_leg` and :mod:`sip_leg` the two sides;
:mod:`rtp`, :mod:`rtcp`, :mod:`reception`, :mod:`dtmf`, :mod:`direction`, :mod:`latch`, :mod:`codecs` and the two
``*_sdp`` modules do no I/O.
"""

from dialog_bridge.adapters.media.engine import RelayEngine
from dialog_bridge.adapters.media.settings import MediaSettings

__all__ = ["MediaSettings", "RelayEngine"]
