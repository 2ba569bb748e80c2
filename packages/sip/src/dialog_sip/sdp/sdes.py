"""Keys in SDP (RFC 4568 sections 4-6, with the suites of RFC 6188 and RFC 7714): read, written, offered and answered.

The keys are secret: they stay out of every ``repr`` and out of the words of errors.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from dialog_sip.sdp.text import SdpError
from dialog_sip.sdp.values import Crypto

_INLINE = "inline:"
MAX_LIFETIME_BITS = 48
"""SRTP takes 2**48 packets under one key (RFC 3711 section 9.2)."""


class Suite(NamedTuple):
    """What a crypto suite needs (RFC 4568 section 6.2)."""

    key_length: int
    """Bytes of the master key."""
    salt_length: int
    """Bytes of the master salt."""

    @property
    def length(self) -> int:
        """Bytes of both, as they stand in the line."""
        return self.key_length + self.salt_length


SUITES: Final = {
    "AEAD_AES_256_GCM": Suite(32, 12),
    "AEAD_AES_128_GCM": Suite(16, 12),
    "AES_256_CM_HMAC_SHA1_80": Suite(32, 14),
    "AES_256_CM_HMAC_SHA1_32": Suite(32, 14),
    "AES_192_CM_HMAC_SHA1_80": Suite(24, 14),
    "AES_192_CM_HMAC_SHA1_32": Suite(24, 14),
    "AES_CM_128_HMAC_SHA1_80": Suite(16, 14),
    "AES_CM_128_HMAC_SHA1_32": Suite(16, 14),
    "F8_128_HMAC_SHA1_80": Suite(16, 14),
}
"""Suites by name (RFC 4568 section 6.2, RFC 6188, RFC 7714 section 14.2)."""
USUAL: Final = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
"""Suites that every PBX with SDES knows, the better first."""


@dataclass(frozen=True, slots=True)
class CryptoKey:
    """One master key of a line: ``inline:<base64>|lifetime|MKI:length`` (RFC 4568 section 6.1)."""

    secret: bytes = field(repr=False)
    """Master key and master salt, one after the other."""
    lifetime: int | None = None
    """Packets."""
    mki: int | None = None
    mki_length: int | None = None
    """Bytes of the MKI in each packet."""

    @classmethod
    def parse(cls, text: str) -> CryptoKey:
        """Read one key. Raises :class:`SdpError`."""
        if not text.lower().startswith(_INLINE):
            raise SdpError("a key that does not stand in the line")
        encoded, *rest = text[len(_INLINE) :].split("|")
        try:
            secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise SdpError("a key is not base64") from None
        lifetime = mki = mki_length = None
        for part in rest:
            if ":" in part:
                mki, mki_length = _mki(part)
            else:
                lifetime = _lifetime(part)
        return cls(secret, lifetime, mki, mki_length)

    def __str__(self) -> str:
        parts = [_INLINE + base64.b64encode(self.secret).decode()]
        if self.lifetime is not None:
            bits = self.lifetime.bit_length() - 1
            parts.append(f"2^{bits}" if self.lifetime == 1 << bits else str(self.lifetime))
        if self.mki is not None:
            parts.append(f"{self.mki}:{self.mki_length}")
        return "|".join(parts)


def keys_of(crypto: Crypto) -> tuple[CryptoKey, ...]:
    """Return the keys of a line, of the length that its suite needs (RFC 4568 section 6.1).

    Raises :class:`SdpError`.
    """
    suite = SUITES.get(crypto.suite)
    if suite is None:
        raise SdpError("a crypto suite that is not known")
    keys = tuple(CryptoKey.parse(text) for text in crypto.keys.split(";"))
    if any(len(key.secret) != suite.length for key in keys):
        raise SdpError("a key is not as long as its suite needs")
    if len(keys) > 1 and any(key.mki is None for key in keys):
        raise SdpError("several keys, and not each with an MKI")
    return keys


def make_crypto(tag: int, suite: str, random_bytes: Callable[[int], bytes]) -> Crypto:
    """Return a line with a new key (RFC 4568 section 6.1).

    ``random_bytes`` is :func:`secrets.token_bytes`, or the test's own.
    """
    return Crypto(tag, suite, str(CryptoKey(random_bytes(SUITES[suite].length))))


def offer_cryptos(random_bytes: Callable[[int], bytes], suites: Sequence[str] = USUAL) -> tuple[Crypto, ...]:
    """Return a line for each suite, each with a key of its own (RFC 4568 section 5.1.1)."""
    return tuple(make_crypto(tag, suite, random_bytes) for tag, suite in enumerate(suites, 1))


def answer_crypto(
    offered: Sequence[Crypto], random_bytes: Callable[[int], bytes], suites: Sequence[str] = USUAL
) -> tuple[Crypto, Crypto] | None:
    """Choose a line of the offer: return it, and ours with its tag; None where none can be taken.

    The first that is known and whose parameters can be ignored is taken (RFC 4568 section 5.1.2). Parameters that
    change how packets look (``UNENCRYPTED_SRTP``...) cannot, unless they begin with ``-`` (section 6.3.7).
    """
    for crypto in offered:
        if crypto.suite not in suites or not _takes(crypto.parameters):
            continue
        try:
            keys_of(crypto)
        except SdpError:
            continue
        return crypto, make_crypto(crypto.tag, crypto.suite, random_bytes)
    return None


def matching_crypto(ours: Sequence[Crypto], answered: Sequence[Crypto]) -> tuple[Crypto, Crypto] | None:
    """Return our line and the peer's that an answer chose by its tag (RFC 4568 section 5.1.3).

    None where it chose none, or another suite.
    """
    if len(answered) != 1:
        return None
    [theirs] = answered
    mine = next((one for one in ours if (one.tag, one.suite) == (theirs.tag, theirs.suite)), None)
    return None if mine is None else (mine, theirs)


def _takes(parameters: str) -> bool:
    return all(word.startswith("-") or word.upper().startswith("WSH=") for word in parameters.split())


def _lifetime(text: str) -> int:
    power = text.removeprefix("2^")
    if not power.isdigit() or not power.isascii() or len(power) > 15:
        raise SdpError("the lifetime of a key is no number")
    value = int(power)
    if text.startswith("2^"):
        value = 1 << min(value, MAX_LIFETIME_BITS + 1)
    if not 0 < value <= 1 << MAX_LIFETIME_BITS:
        raise SdpError("the lifetime of a key is out of range")
    return value


def _mki(text: str) -> tuple[int, int]:
    value, _, length = text.partition(":")
    if not all(part.isdigit() and part.isascii() and len(part) <= 9 for part in (value, length)):
        raise SdpError("an MKI is no number")
    if not 1 <= int(length) <= 128:
        raise SdpError("an MKI is 1 to 128 bytes long")
    return int(value), int(length)
