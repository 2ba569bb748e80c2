"""TLS for SIP: contexts, whose certificate it is (RFC 5922 section 7), and errors that say in words what is wrong.

The chain is verified by OpenSSL; the name is verified here, before anything is sent, because a SIP domain is not
matched as a web host is: a URI in the certificate counts, a wildcard does not.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from dialog_sip.aio.flow import FlowError
from dialog_sip.certificates import Certificate, names_in, stands_for_domain, stands_for_web_host

HANDSHAKE_WITHIN: Final = 10.0
"""Seconds that a listener gives a peer for its handshake."""


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How we trust and who we are (RFC 3261 section 26.3.1).

    Files are PEM, and are read for each connection, so a renewed one is taken.
    """

    ca_file: Path | None = None
    """Authorities to trust; None: those of the system. At a listener: whose clients are let in; None: everybody."""
    cert_file: Path | None = None
    """Our certificate, with those that lead to the authority. A listener needs it."""
    key_file: Path | None = None
    """Its key; None: it is in ``cert_file``."""
    verify: bool = True
    """False takes any certificate, from anybody."""


class TlsProblem(Enum):
    """What is wrong, much as the alerts of RFC 8446 section 6.2 have it."""

    FILES = "files"
    """Our own files cannot be read."""
    UNTRUSTED = "untrusted"
    """No authority that we trust has signed the peer's certificate."""
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    WRONG_NAME = "wrong name"
    """The certificate stands for somebody else (RFC 5922 section 7)."""
    NO_TLS = "no tls"
    """The peer does not speak TLS."""
    TOO_OLD = "too old"
    """The peer has no TLS 1.2 or above."""
    REFUSED = "refused"
    """The peer does not accept our certificate, or wants one."""
    CLOSED = "closed"
    """The peer ended the handshake without a word."""
    OTHER = "other"


class TlsError(FlowError):
    """TLS could not be set up (RFC 3261 section 26.2.1)."""

    def __init__(self, problem: TlsProblem, words: str) -> None:
        super().__init__(words)
        self.problem = problem


_CERTIFICATE_WORDS = {
    7: (TlsProblem.UNTRUSTED, "the authority of its certificate is not trusted here, only one of the same name"),
    9: (TlsProblem.NOT_YET_VALID, "its certificate is not valid yet: check the clocks of both"),
    10: (TlsProblem.EXPIRED, "its certificate has expired"),
    18: (TlsProblem.UNTRUSTED, "it has signed its certificate itself: name it in ca-file to trust it"),
    19: (TlsProblem.UNTRUSTED, "the authority of its certificate is not trusted here: name it in ca-file"),
    20: (TlsProblem.UNTRUSTED, "the authority of its certificate is not trusted here: name it in ca-file"),
    21: (TlsProblem.UNTRUSTED, "it sends no certificate of the authority between, or that is not trusted here"),
    23: (TlsProblem.UNTRUSTED, "its certificate is revoked"),
}
_NO_TLS = (TlsProblem.NO_TLS, "it does not speak TLS at this port")
_TOO_OLD = (TlsProblem.TOO_OLD, "it speaks no TLS 1.2 or above")
_WANTS_OURS = (TlsProblem.REFUSED, "it wants a certificate of ours: set cert-file and key-file")
_REFUSED = (TlsProblem.REFUSED, "it does not accept the certificate of cert-file")
_REASON_WORDS = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _TOO_OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _TOO_OLD,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _WANTS_OURS,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (TlsProblem.REFUSED, "it sends no certificate of its own"),
    "TLSV1_ALERT_UNKNOWN_CA": _REFUSED,
    "SSLV3_ALERT_BAD_CERTIFICATE": _REFUSED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _REFUSED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _REFUSED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _REFUSED,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        TlsProblem.REFUSED,
        "it refuses the handshake: it wants a certificate of ours (cert-file), or ciphers that are not offered",
    ),
}


def client_context(options: TlsOptions) -> ssl.SSLContext:
    """Return a context for connections that we open (RFC 3261 section 26.3.1).

    Reads files. Raises :class:`TlsError`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The name is compared in verify_name, by SIP's rules.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if options.verify else ssl.CERT_NONE
    if options.verify and options.ca_file is None:
        context.load_default_certs()
    return _with_files(context, options)


def server_context(options: TlsOptions) -> ssl.SSLContext:
    """Return a context for a listener (RFC 3261 section 26.3.1); reads files. Raises :class:`TlsError`."""
    if options.cert_file is None:
        raise TlsError(TlsProblem.FILES, "a listener needs a certificate: set cert-file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wants_clients = options.verify and options.ca_file is not None
    context.verify_mode = ssl.CERT_REQUIRED if wants_clients else ssl.CERT_NONE
    return _with_files(context, options)


def verify_name(connection: ssl.SSLObject, domain: str) -> None:
    """Check that the peer's certificate stands for a SIP domain (RFC 5922 section 7.3). Raises :class:`TlsError`."""
    _verify(connection, [domain], stands_for_domain)


def verify_web_host(connection: ssl.SSLObject, hosts: list[str]) -> None:
    """Check that it stands for one of the hosts that a websocket is opened to (RFC 6455). Raises :class:`TlsError`."""
    _verify(connection, hosts, stands_for_web_host)


def tls_error(error: BaseException, peer: str) -> TlsError | None:
    """Say in words what an exception of a handshake with ``peer`` means, such as an alert (RFC 8446 section 6.2).

    None where it is none of TLS.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _CERTIFICATE_WORDS.get(error.verify_code)
        problem, words = known or (TlsProblem.OTHER, f"its certificate does not verify: {error.verify_message}")
    elif isinstance(error, ssl.SSLError):
        unknown = (TlsProblem.OTHER, f"the handshake failed: {(error.reason or 'no reason').lower().replace('_', ' ')}")
        problem, words = _REASON_WORDS.get(error.reason or "", unknown)
    else:
        return None
    return TlsError(problem, f"no TLS to {peer}: {words}")


def closed_error(peer: str) -> TlsError:
    """Say that the peer ended the handshake without saying why, by no alert of RFC 8446 section 6."""
    words = "it closed the connection during the handshake: it speaks no TLS at this port, or does not want ours"
    return TlsError(TlsProblem.CLOSED, f"no TLS to {peer}: {words}")


def _with_files(context: ssl.SSLContext, options: TlsOptions) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if options.ca_file is not None and options.verify:
        _read(options.ca_file, context.load_verify_locations)
    if options.cert_file is not None:
        _read(options.cert_file, lambda file: context.load_cert_chain(file, options.key_file))
    return context


def _read(file: Path, load: Callable[[Path], None]) -> None:
    try:
        load(file)
    except ssl.SSLError as error:
        what = (error.reason or "it is no PEM").lower().replace("_", " ")
        raise TlsError(TlsProblem.FILES, f"{file} cannot be used: {what}") from error
    except OSError as error:
        # load_cert_chain does not say which of the two files it is.
        raise TlsError(TlsProblem.FILES, f"{file} or its key cannot be read: {error.strerror}") from error


def _verify(connection: ssl.SSLObject, names: list[str], stands_for: Callable[[Certificate, str], bool]) -> None:
    certificate = connection.getpeercert()
    if not certificate:
        # Nothing was verified: the options say so.
        return
    if not any(stands_for(certificate, name) for name in names):
        wanted = " or ".join(dict.fromkeys(names))
        raise TlsError(TlsProblem.WRONG_NAME, f"the certificate is not for {wanted} but for {names_in(certificate)}")
