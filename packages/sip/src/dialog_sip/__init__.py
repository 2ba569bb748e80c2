"""SIP (RFC 3261) sans-I/O: messages, transactions, registration, SIP dialogs, SDP, digest; drivers are in ``aio``."""

from dialog_sip.capabilities import Capabilities
from dialog_sip.errors import Layer, LocalProtocolError, RemoteProtocolError, SipError
from dialog_sip.framer import Framer
from dialog_sip.headers import Headers, HeaderValue
from dialog_sip.limits import DEFAULT_LIMITS, Limits
from dialog_sip.message import Message, Request, Response
from dialog_sip.parser import parse_message
from dialog_sip.reading import read_all
from dialog_sip.status import phrase_of
from dialog_sip.uri import SipUri, escape_user
from dialog_sip.validation import Drop, Refusal, admit, verdict
from dialog_sip.values import BRANCH_COOKIE, CSeq, MediaType, NameAddr, Via

__all__ = [
    "BRANCH_COOKIE",
    "DEFAULT_LIMITS",
    "CSeq",
    "Capabilities",
    "Drop",
    "Framer",
    "HeaderValue",
    "Headers",
    "Layer",
    "Limits",
    "LocalProtocolError",
    "MediaType",
    "Message",
    "NameAddr",
    "Refusal",
    "RemoteProtocolError",
    "Request",
    "Response",
    "SipError",
    "SipUri",
    "Via",
    "admit",
    "escape_user",
    "parse_message",
    "phrase_of",
    "read_all",
    "verdict",
]
