"""Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760): both sides."""

from dialog_sip.digest.algorithm import Algorithm, Qop, digest_response, hashed_username
from dialog_sip.digest.challenge import Challenge, challenges_of
from dialog_sip.digest.client import DigestClient, Outcome, ServerProof
from dialog_sip.digest.credentials import Credentials, mask_credentials
from dialog_sip.digest.info import AuthenticationInfo
from dialog_sip.digest.server import DigestServer, ReplayGuard, Verdict

__all__ = [
    "Algorithm",
    "AuthenticationInfo",
    "Challenge",
    "Credentials",
    "DigestClient",
    "DigestServer",
    "Outcome",
    "Qop",
    "ReplayGuard",
    "ServerProof",
    "Verdict",
    "challenges_of",
    "digest_response",
    "hashed_username",
    "mask_credentials",
]
