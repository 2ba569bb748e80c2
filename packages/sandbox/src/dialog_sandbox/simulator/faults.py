"""What a simulated PBX can do wrong, and how that is told over JSON."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Challenge(StrEnum):
    """How credentials are asked for."""

    NONE = "none"
    """Never: everybody may register."""
    ONCE = "once"
    """Once; the nonce is good for as many uses as the options say."""
    ONE_USE = "one-use"
    """Each REGISTER anew: a nonce that was used is answered with the next challenge."""
    REFUSE = "refuse"
    """Credentials are never right: a fresh challenge that is not stale."""
    ENDLESS = "endless"
    """Credentials are never new enough: another challenge each time, and always stale."""


class Faults(BaseModel):
    """Everything that can be switched. The default is a PBX without a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    away: bool = False
    """Nothing is answered, as if the machine were off."""
    loss: float = Field(0.0, ge=0, le=1)
    """Part of the datagrams lost, of requests and of answers alike."""
    code: int = Field(0, ge=0, le=699)
    """Answer to REGISTERs in place of what is due; 0: none."""
    share: float = Field(1.0, ge=0, le=1)
    """Part of the REGISTERs that get ``code``."""
    retry_after: int | None = Field(None, ge=0)
    """Seconds, told with ``code``."""
    min_expires: int | None = Field(None, ge=0)
    """Seconds: less is refused with 423, and told there."""
    challenge: Challenge = Challenge.ONCE
    grant: int | None = Field(None, ge=0)
    """Seconds granted, whatever was asked for."""
    lists_contact: bool = True
    """False: the 200 lists no Contact, only Expires."""
    close_after_200: bool = False
    """A TCP connection is closed after each 200."""
