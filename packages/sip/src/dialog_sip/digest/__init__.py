"""Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760): both sides."""

from dialog_sip.digest.algorithm import Algorithm, digest_response
from dialog_sip.digest.challenge import Challenge, challenges_of
from dialog_sip.digest.client import DigestClient, Outcome
from dialog_sip.digest.credentials import Credentials, mask_credentials
from dialog_sip.digest.server import DigestServer, Verdict

__all__ = [
    "Algorithm",
    "Challenge",
    "Credentials",
    "DigestClient",
    "DigestServer",
    "Outcome",
    "Verdict",
    "challenges_of",
    "digest_response",
    "mask_credentials",
]
