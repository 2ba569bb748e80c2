"""One DTLS certificate and one TLS context for all calls of the process.

Making a key and a certificate costs 3 ms a call and a context 0.8, and a shared certificate gives nothing away: the
fingerprint that authenticates it goes through signalling for each call (RFC 8827 section 6.5 lets it be reused).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTPProtectionProfile
from dialog_sip.sdp import Fingerprint
from OpenSSL import SSL

RENEW_BEFORE = timedelta(days=2)
"""Well above the longest call."""


class SharedCertificate(RTCCertificate):
    """An :class:`RTCCertificate` that makes its TLS context once."""

    _context: SSL.Context | None = None

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        if self._context is None:
            self._context = super()._create_ssl_context(srtp_profiles)
        return self._context

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """The SHA-256 fingerprint for descriptions (RFC 8122)."""
        return next(Fingerprint(f.algorithm, f.value) for f in self.getFingerprints() if f.algorithm == "sha-256")


class Certificates:
    """Gives out the certificate, a new one shortly before the old one expires."""

    def __init__(self) -> None:
        self._current: SharedCertificate | None = None

    def current(self) -> SharedCertificate:
        """Return the certificate for a new call."""
        if self._current is None or self._current.expires - datetime.now(UTC) < RENEW_BEFORE:
            self._current = SharedCertificate.generateCertificate()
        return self._current
