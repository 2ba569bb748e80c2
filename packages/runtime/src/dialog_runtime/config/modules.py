"""``modules.*`` of ``server.conf``: how the integration behaves."""

from __future__ import annotations

import json
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from dialog_runtime.config.durations import Duration
from dialog_runtime.config.errors import WrongKeyError
from dialog_runtime.config.values import (
    Above0,
    Between,
    Host,
    IceUrl,
    JsonObject,
    Port,
    ReadableFile,
    Secret,
    Section,
    Text,
)
from dialog_runtime.table.check import way_problems

EXTENSION = "im.dlg.sip.extension.SipExtension"
"""What ``modules.sip.extension`` says where the integration is on."""

Positive = Annotated[Duration, Above0]


class MediaMode(StrEnum):
    """``modules.sip.media.mode``: who speaks WebRTC to the dialog client."""

    AUTO = "auto"
    DIRECT = "direct"
    RELAY = "relay"


class Register(Section):
    """``modules.sip.register``."""

    expires: Positive = timedelta(minutes=30)
    """The Expires asked for (RFC 3261 section 10.2.1.1)."""
    interval: Positive = timedelta(minutes=30)
    """Time between REGISTERs, where the granted expiry allows it."""


class Autocreate(Section):
    """``modules.sip.autocreate``: the row that a new dialog user gets."""

    on: bool = False
    host: Host = ""
    port: Port = 5060
    parameters: JsonObject = Field(default_factory=lambda: {"transport": "udp"})
    headers: JsonObject = Field(default_factory=dict)
    register_: bool = Field(default=True, alias="register")
    can_call: bool = True
    can_be_called: bool = True
    password: Secret = SecretStr("")
    user_prefix: Text = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.on and not self.host:
            raise WrongKeyError("host", "the name or address of the PBX, because autocreate.on = true")
        problems = way_problems(json.dumps(self.parameters), json.dumps(self.headers)) if self.on else ()
        for problem in problems:
            key = "headers" if problem.startswith("sip_headers") else "parameters"
            raise WrongKeyError(key, problem.partition(": write ")[2] or problem)
        return self


class Calls(Section):
    """``modules.sip.calls``."""

    max_calls: Annotated[int, Between(1, 100_000)] = 200
    """Calls that one bridge takes at a time."""
    ring_timeout: Positive = timedelta(seconds=60)
    drain_timeout: Positive = timedelta(minutes=5)
    """How long a bridge that is told to stop lets its calls go on."""
    session_expires: Duration = timedelta(minutes=30)
    """Session timer that is asked for (RFC 4028); 0: none, and the PBX's own is gone along with."""


class Media(Section):
    """``modules.sip.media``."""

    mode: MediaMode = MediaMode.AUTO
    address: Host = ""
    """Address that SDP names to the PBX; empty: that of the interface towards it."""
    port_min: Port = 20000
    port_max: Port = 29999
    ice_loopback: bool = False
    """Offer candidates on 127.0.0.1, for a browser on the same machine."""
    silence_timeout: Positive = timedelta(seconds=60)
    """How long a side that is to send may give neither RTP nor RTCP."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.port_min > self.port_max:
            raise WrongKeyError("port-max", f"a port not below port-min, {self.port_min}")
        return self


class SipTls(Section):
    """``modules.sip.registrar.tls``: TLS towards PBXs, of tls and wss."""

    ca_file: ReadableFile | None = None
    """PEM with the authorities to trust; the system's where it is not given."""
    cert_file: ReadableFile | None = None
    """PEM with our certificate, for PBXs that want one."""
    key_file: ReadableFile | None = None
    """Its key; where it is not given, it is in ``cert_file``."""
    verify: bool = True
    """False takes any certificate from anybody."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.key_file is not None and self.cert_file is None:
            raise WrongKeyError("cert-file", "a certificate, because key-file is set")
        return self


class Registrar(Section):
    """``modules.sip.registrar``: the SIP edge."""

    local_host: Host = "0.0.0.0"  # noqa: S104  PBXs call from outside this machine
    """Address that SIP sockets bind to."""
    advertised_host: Host = ""
    """Address in Contact; empty: that of the socket towards the PBX. Via keeps that: rport and received correct it."""
    keepalive: Positive = timedelta(seconds=25)
    """Time between keepalives on a flow (RFC 5626 section 4.4)."""
    options_interval: Duration = timedelta(seconds=30)
    """Time between OPTIONS to a PBX over UDP, to notice that it was started anew; 0: none."""
    outbound: bool = False
    """Whether to register with outbound (RFC 5626)."""
    max_in_flight: Annotated[int, Between(1, 10_000)] = 128
    """REGISTERs that wait for their answer at a time, over all servers."""
    max_in_flight_per_server: Annotated[int, Between(1, 10_000)] = 128
    tls: SipTls = SipTls()


class Provisioner(Section):
    """``modules.sip.provisioner``."""

    table: Annotated[str, StringConstraints(pattern=r"^([A-Za-z_][A-Za-z0-9_$]*\.)?[A-Za-z_][A-Za-z0-9_$]*$")] = (
        "sip_user_mappings"
    )
    """The table, with its schema in front where that is not on the search path."""
    poll_interval: Positive = timedelta(milliseconds=500)
    """How often the table is looked at where no trigger can be made, and the triggers where they can."""
    reconcile_interval: Positive = timedelta(minutes=5)
    """How often the whole table is compared, to heal what was missed."""


class Sip(Section):
    """``modules.sip``."""

    extension: Annotated[str, Field(validate_default=True)] = ""
    trace_level: Annotated[int, Between(0, 32)] = 0
    """JAIN-SIP levels: 0 off, 16 SIP messages, 32 everything."""
    dialog_ignore_contact_field: bool = False
    register_: Register = Field(default=Register(), alias="register")
    autocreate: Autocreate = Autocreate()
    calls: Calls = Calls()
    media: Media = Media()
    registrar: Registrar = Registrar()
    provisioner: Provisioner = Provisioner()

    @field_validator("extension")
    @classmethod
    def _is_on(cls, value: str) -> str:
        if value != EXTENSION:
            raise ValueError(f'"{EXTENSION}": without it the SIP integration is off')
        return value


class IceServer(Section):
    """One of ``modules.webrtc.ice-servers``."""

    url: IceUrl
    username: Text = ""
    credential: Secret = SecretStr("")


class Webrtc(Section):
    """``modules.webrtc``."""

    ice_servers: tuple[IceServer, ...] = ()

    @field_validator("ice_servers", mode="before")
    @classmethod
    def _in_order(cls, value: object) -> object:
        # ``ice-servers.0 { ... }`` makes an object with numbers for keys.
        if isinstance(value, dict):
            return [
                value[key]
                for key in sorted(value, key=lambda key: (not key.isdecimal(), int(key) if key.isdecimal() else 0))
            ]
        return value


class Modules(Section):
    """``modules``."""

    sip: Sip
    webrtc: Webrtc = Webrtc()
