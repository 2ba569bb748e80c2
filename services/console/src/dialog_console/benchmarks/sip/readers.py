"""How each library reads a message, raw and with every header read.

*Raw* is what it takes to have a message object. *Every header* is each header of the message once, as the richest
value that the library has for it: an address with its URI, a Via with its parameters, a number; text where it has
nothing better. Each reader imports its library when it is made, so that one that is not there is told by an
:class:`ImportError`. The libraries have no types, hence ``Any``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

Read = Callable[[bytes], object]


class Reader(NamedTuple):
    """One library."""

    raw: Read
    every: Read


def _ours() -> Reader:
    from dialog_sip import Request, parse_message, read_all

    def every(data: bytes) -> list[object]:
        message = parse_message(data)
        values: dict[str, Any] = read_all(message)
        # Addresses keep their URI as text until it is asked for.
        addresses = (values["from"], values["to"], *values.get("contact", ()), *values.get("record-route", ()))
        read = [address.uri for address in addresses]
        return [values, *read, message.request_uri if isinstance(message, Request) else message.code]

    return Reader(parse_message, every)


def _voip_utils() -> Reader:
    sip: Any = import_module("voip_utils.sip")

    def raw(data: bytes) -> object:
        return sip.SipMessage.parse_sip(data.decode())

    def every(data: bytes) -> list[object]:
        # One value a name is all it keeps, so the second Via and more Record-Routes are not read at all.
        message: Any = raw(data)
        headers = dict(message.headers)
        read: list[object] = [sip.parse_via_header(headers.pop("via"))]
        read += [sip.SipEndpoint(headers.pop(name)) for name in ("from", "to", "contact")]
        if message.request_uri is not None:
            read.append(sip.SipEndpoint(message.request_uri))
        read += [sip.SipEndpoint(headers.pop(name)) for name in ("record-route",) if name in headers]
        return [*read, headers.pop("cseq").split(), *headers.values()]

    return Reader(raw, every)


def _aiosipua() -> Reader:
    library: Any = import_module("aiosipua.message")
    headers: Any = import_module("aiosipua.headers")
    known = {"via", "from", "to", "contact", "cseq", "call-id", "content-type", "content-length", "record-route"}

    def every(data: bytes) -> list[object]:
        message = library.SipMessage.parse(data)
        read = [
            message.via, message.from_addr, message.to_addr, message.contact, message.cseq, message.call_id,
            message.content_type, message.content_length,
            [headers.parse_address(one) for one in message.get_header_values("record-route")],
        ]  # fmt: skip
        return [*read, *(values for name, values in message.headers.items() if name not in known)]

    return Reader(library.SipMessage.parse, every)


def _sipmessage() -> Reader:
    library: Any = import_module("sipmessage")

    def every(data: bytes) -> list[object]:
        # Request-URI is read with the message.
        message = library.Message.parse(data)
        return [
            message.via, message.from_address, message.to_address, message.contact, message.cseq, message.call_id,
            message.content_type, message.content_length, message.record_route, message.route, message.max_forwards,
            message.expires, message.supported, message.user_agent, message.server, message.authorization,
            *(message.headers.get(name) for name in ("Allow", "Session-Expires", "Min-SE")),
        ]  # fmt: skip

    return Reader(library.Message.parse, every)


def _sippy() -> Reader:
    requests: Any = import_module("sippy.SipRequest")
    responses: Any = import_module("sippy.SipResponse")

    def raw(data: bytes) -> object:
        kind = responses.SipResponse if data.startswith(b"SIP/") else requests.SipRequest
        return kind(data.decode())

    def every(data: bytes) -> list[object]:
        message: Any = raw(data)
        for header in message.headers:
            header.body.parse()
        return [message.body, *message.headers]

    return Reader(raw, every)


def _opensip() -> Reader:
    library: Any = import_module("opensip.message")
    headers: Any = import_module("opensip.headers")
    addresses = {"From", "To", "Contact", "Record-Route"}

    def every(data: bytes) -> list[object]:
        message = library.parse_message(data)
        read: list[object] = [message.cseq]
        if hasattr(message, "request_uri"):
            read.append(headers.URI.parse(message.request_uri))
        for name, value in message.headers:
            if name in addresses:
                read.append(headers.parse_address_list(value))
            else:
                read.append(headers.parse_via_list(value) if name == "Via" else value)
        return read

    return Reader(library.parse_message, every)


def _simple_sip() -> Reader:
    library: Any = import_module("simple_sip.sip_message")

    def every(data: bytes) -> list[object]:
        message = library.SIPMessage.parse(data)
        read = [library.parse_from_header(message.get_header(name)) for name in ("From", "To")]
        read.append(library.parse_contact_header(message.get_header("Contact")))
        return [*read, *message.headers.values()]

    return Reader(library.SIPMessage.parse, every)


def _pyvoip() -> Reader:
    import_module("pyVoIP.VoIP")  # first, for the two import each other
    library: Any = import_module("pyVoIP.SIP")
    return Reader(library.SIPMessage, library.SIPMessage)


def _rfcvoip() -> Reader:
    library: Any = import_module("rfcvoip.SIP")
    return Reader(library.SIPMessage, library.SIPMessage)


def _pysipio() -> Reader:
    library: Any = import_module("PySIP.sip_core")

    def raw(data: bytes) -> object:
        message = library.SipMessage(data.decode())
        message.parse()
        return message

    return Reader(raw, raw)


def _aiosip() -> Reader:
    library: Any = import_module("aiosip.message")
    # It makes a future of each request.
    asyncio.set_event_loop(asyncio.new_event_loop())

    def raw(data: bytes) -> object:
        return library.Message.from_raw_message(data.decode())

    def every(data: bytes) -> list[object]:
        message: Any = raw(data)
        return [message.cseq, message.method, *message.headers.values()]

    return Reader(raw, every)


def _asyncsip() -> Reader:
    library: Any = import_module("asyncsip.message")

    def raw(data: bytes) -> object:
        return library.Message.from_raw_headers(data.partition(b"\r\n\r\n")[0])

    def every(data: bytes) -> list[object]:
        message: Any = raw(data)
        return [
            message.from_details, message.to_details, message.contact_details, message.cseq, message.method,
            *message.headers.values(),
        ]  # fmt: skip

    return Reader(raw, every)


OURS = "dialog-sip"
READERS: dict[str, Callable[[], Reader]] = {
    OURS: _ours,
    "voip-utils": _voip_utils,
    "aiosipua": _aiosipua,
    "sipmessage": _sipmessage,
    "sippy": _sippy,
    "opensip": _opensip,
    "simple-sip-client": _simple_sip,
    "pyVoIP": _pyvoip,
    "rfcvoip": _rfcvoip,
    "PySIPio": _pysipio,
    "aiosip": _aiosip,
    "asyncsip": _asyncsip,
}
"""Name on PyPI -> its reader; our own first."""
LESS: dict[str, str] = {
    "voip-utils": "one value a name; parameters of Via, credentials and lists as text",
    "aiosipua": "credentials and lists as text",
    "opensip": "credentials and lists as text",
    "asyncsip": "Via, credentials and lists as text",
    "aiosip": "credentials and lists as text",
}
"""What a library leaves as text in *every header*, said beside its number; those of TEXT_ONLY are not there at all."""
