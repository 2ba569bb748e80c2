"""SIP between registrars and bridges: raw SIP as the record's value, what surrounds it in the headers.

On ``sip.requests`` (requests outside any known SIP dialog) and ``inbox.<instance>``. A bridge sees each message once
and in order, never a retransmission; transactions, credentials, Via and Contact are the registrar's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Headers = tuple[tuple[str, bytes], ...]
"""Kafka record headers."""


class RelayKind(StrEnum):
    """What a relayed message is."""

    REQUEST = "request"
    """To a registrar: start a client transaction (an ACK: just send it). To a bridge: a request came in."""
    RESPONSE = "response"
    """To a registrar: answer a server transaction. To a bridge: a response to its request."""
    CANCEL = "cancel"
    """To a registrar, no value: CANCEL the INVITE of this transaction (RFC 3261 section 9.1)."""
    ACK_TIMEOUT = "ack-timeout"
    """To a bridge, no value: its 2xx was never ACKed (RFC 3261 section 13.3.1.4)."""


class MalformedRelayError(ValueError):
    """A record whose headers are not those of a relayed SIP message."""


@dataclass(frozen=True, slots=True)
class Relay:
    """One relayed SIP message. ``sip`` is empty where the kind has no message of its own."""

    kind: RelayKind
    transaction: str
    """Named by who starts it: the bridge for its requests, the registrar for those that come in. Unique."""
    aor: str
    """The mapping on whose behalf it travels."""
    sip: bytes = b""
    call: str | None = None
    """The messenger's call id, once there is one."""
    sender: str = ""
    """Instance id of the sender: answers go to its inbox."""
    flow: str | None = None
    """The registrar's flow, for traces."""
    local: bool = False
    """True for a response that the registrar made itself, such as 408 after Timer B or 503 after a transport error."""
    incarnation: str = ""
    """Names the process of a registrar that sends, as its heartbeats do."""

    def headers(self) -> Headers:
        """Return the record headers that :meth:`decode` reads."""
        pairs = [
            ("sip_kind", self.kind.value),
            ("sip_transaction", self.transaction),
            ("sip_mapping", self.aor),
            ("sip_sender", self.sender),
        ]
        if self.call is not None:
            pairs.append(("sip_call", self.call))
        if self.flow is not None:
            pairs.append(("sip_flow", self.flow))
        if self.local:
            pairs.append(("sip_local", "1"))
        if self.incarnation:
            pairs.append(("sip_incarnation", self.incarnation))
        return tuple((name, value.encode()) for name, value in pairs)

    @classmethod
    def decode(cls, value: bytes | None, headers: Headers) -> Relay:
        """Read a record back. Raises :class:`MalformedRelayError`."""
        try:
            fields = {name: raw.decode() for name, raw in headers if name.startswith("sip_")}
            return cls(
                kind=RelayKind(fields["sip_kind"]),
                transaction=fields["sip_transaction"],
                aor=fields["sip_mapping"],
                sip=value or b"",
                call=fields.get("sip_call"),
                sender=fields["sip_sender"],
                flow=fields.get("sip_flow"),
                local=fields.get("sip_local") == "1",
                incarnation=fields.get("sip_incarnation", ""),
            )
        except KeyError as error:
            raise MalformedRelayError(f"header {error.args[0]} is missing") from error
        except UnicodeDecodeError:
            raise MalformedRelayError("a record header is not UTF-8") from None
        except ValueError:  # its words quote the input
            raise MalformedRelayError(f"sip_kind is none of {', '.join(RelayKind)}") from None

    @staticmethod
    def is_relay(headers: Headers) -> bool:
        """Tell a relayed SIP message from a CloudEvent in the same inbox."""
        return any(name == "sip_kind" for name, _ in headers)
