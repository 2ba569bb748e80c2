"""Offer and answer (RFC 3264 sections 5 to 8) as plain functions over sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dialog_sip.sdp.codec import Codec
from dialog_sip.sdp.session import Connection, Media, Origin, Session
from dialog_sip.sdp.values import Direction, Group


def answer_codecs(
    offered: Sequence[Codec], supported: Sequence[Codec], feedback: Sequence[str] = ()
) -> tuple[Codec, ...]:
    """Return the codecs of both, in the order and with the payload types of the offer (RFC 3264 section 6.1).

    Format parameters say what their sender can receive, so they are those of ``supported``; feedback is what both have.
    ``feedback``: what the offer has for all payload types (``rtcp-fb:*``).
    """
    by_key = {codec.key: codec for codec in reversed(supported)}
    common = ((codec, by_key.get(codec.key)) for codec in offered if codec.name)
    return tuple(
        replace(
            ours,
            payload_type=theirs.payload_type,
            name=theirs.name,
            feedback=tuple(value for value in ours.feedback if value in theirs.feedback or value in feedback),
        )
        for theirs, ours in common
        if ours is not None
    )


def answer_direction(offered: Direction, wanted: Direction = Direction.SENDRECV) -> Direction:
    """Return what we want, as far as the offer gives and takes it (RFC 3264 section 6.1)."""
    return Direction.of(sends=wanted.sends and offered.receives, receives=wanted.receives and offered.sends)


def decline(media: Media) -> Media:
    """Return the answer to a section that we do not take: the same formats, port 0 (RFC 3264 section 6)."""
    return Media(media.kind, 0, media.protocol, media.codecs, media.formats, mid=media.mid)


def answer_session(
    offer: Session, origin: Origin, accepted: Mapping[int, Media], connection: Connection | None = None
) -> Session:
    """Return an answer with as many sections as the offer, in its order. ``accepted`` is section index -> our section.

    Sections that are not accepted are declined; groups keep their members that were accepted (RFC 5888 section 9.1).
    """
    media = tuple(accepted.get(index) or decline(section) for index, section in enumerate(offer.media))
    mids = {section.mid for section in media if section.mid is not None and not section.is_declined}
    groups = (Group(group.semantics, tuple(mid for mid in group.mids if mid in mids)) for group in offer.groups)
    return Session(origin, media, connection=connection, groups=tuple(group for group in groups if group.mids))


def is_held(session: Session, media: Media) -> bool:
    """Tell whether the speaker does not want to hear us: on hold, the new way or the old (RFC 3264 section 8.4)."""
    connection = session.connection_of(media)
    # A browser that has no candidate yet says 0.0.0.0 as well (RFC 8840 section 4.1.1).
    nowhere = connection is not None and connection.is_nowhere and session.ice_of(media) is None
    return not media.is_declined and (nowhere or not session.direction_of(media).receives)


def with_next_version(session: Session, previous: Session) -> Session:
    """Return ``session`` as what follows ``previous``: one version up unless nothing changed (RFC 3264 section 8)."""
    same = replace(session, origin=previous.origin)
    if same == previous:
        return same
    return replace(session, origin=replace(previous.origin, version=previous.origin.version + 1))
