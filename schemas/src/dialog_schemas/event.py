"""What every event on the bus has in common: a frozen pydantic model with a CloudEvents type.

A foreign producer may send fields that we do not know (they are ignored), never a field of the wrong type
(:class:`pydantic.ValidationError`, and from there the dead letters).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

TYPE_PREFIX = "im.dlg.sip."
"""Every CloudEvents ``type`` of ours starts with this."""

Aor = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""``sip_user@sip_host``, the identity of a mapping (RFC 3261 section 10, without the ``sip:`` scheme)."""

CallId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:@+-]+$")]
"""A call of the messenger; not the Call-ID of a SIP dialog."""

InstanceId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._-]+$")]
"""One running process of one service, stable over its restarts where the operator gives it."""

UserId = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""A user of the messenger (int32, as ``peer_id`` in ``sip_user_mappings``)."""


class Event(BaseModel):
    """One event. Subclasses set :attr:`NAME`; the rest of the system never writes a ``type`` by hand."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, ser_json_timedelta="float", hide_input_in_errors=True
    )

    NAME: ClassVar[str]
    """The event's own name, such as ``user-created``."""

    @classmethod
    def type(cls) -> str:
        """Return the CloudEvents ``type`` (CloudEvents 1.0 section 3.1.1)."""
        return TYPE_PREFIX + cls.NAME
