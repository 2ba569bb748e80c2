"""BUNDLE: media sections that share one transport (RFC 9143), with the policies of browsers (RFC 9429 4.1.1)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from enum import StrEnum

from dialog_sip.sdp.session import Media, Session
from dialog_sip.sdp.values import Group

BUNDLE = "BUNDLE"
"""Semantics of the group (RFC 9143)."""


class BundlePolicy(StrEnum):
    """Which sections of an offer have a transport of their own (RFC 9429 section 4.1.1).

    It is for peers that do not bundle.
    """

    BALANCED = "balanced"
    """The first of each kind."""
    MAX_COMPAT = "max-compat"
    """All."""
    MAX_BUNDLE = "max-bundle"
    """The first alone."""


def offer_bundle(session: Session, policy: BundlePolicy = BundlePolicy.BALANCED) -> Session:
    """Return an offer that bundles all sections that have a mid (RFC 9143 section 7.2).

    Those without a transport are ``bundle-only`` (section 6).
    A section that is bundle-only has port 0 and no transport attributes: a peer that does not bundle declines it.
    """
    own = _with_transport(session.media, policy)
    media = tuple(
        section if index in own or section.mid is None or section.is_declined else _bundle_only(section)
        for index, section in enumerate(session.media)
    )
    mids = tuple(section.mid for section in media if section.mid is not None and not section.is_declined)
    others = tuple(group for group in session.groups if group.semantics != BUNDLE)
    return replace(session, media=media, groups=(Group(BUNDLE, mids), *others) if mids else others)


def answer_bundle(offer: Session, answer: Session, *, accept: bool = True) -> Session:
    """Return the answer with its BUNDLE group (RFC 9143 section 7.3).

    Members are those that the offer grouped and the answer takes. With ``accept`` False, or where the offer has no
    group, nothing is bundled, and what is ``bundle-only`` has to be declined (section 7.3.3).
    """
    offered = next((group.mids for group in offer.groups if group.semantics == BUNDLE), ())
    taken = tuple(
        mid for mid in offered if any(section.mid == mid and not section.is_declined for section in answer.media)
    )
    others = tuple(group for group in answer.groups if group.semantics != BUNDLE)
    if accept and taken:
        return replace(answer, groups=(Group(BUNDLE, taken), *others))
    media = tuple(
        replace(ours, port=0, bundle_only=False) if theirs.bundle_only else ours
        for theirs, ours in zip(offer.media, answer.media, strict=True)
    )
    return replace(answer, media=media, groups=others)


def transport_of(session: Session, media: Media) -> Media:
    """Return the section whose transport a section uses: the first of its group, else itself (RFC 9143 section 7.1)."""
    mids = session.bundled()
    if media.mid is None or media.mid not in mids:
        return media
    return next((one for one in session.media if one.mid == mids[0]), media)


def is_bundled(session: Session, mids: Collection[str]) -> bool:
    """Tell whether all these sections share one transport (RFC 9143 section 5)."""
    group = session.bundled()
    return bool(mids) and all(mid in group for mid in mids)


def _with_transport(media: tuple[Media, ...], policy: BundlePolicy) -> frozenset[int]:
    if policy is BundlePolicy.MAX_COMPAT:
        return frozenset(range(len(media)))
    usable = [index for index, section in enumerate(media) if not section.is_declined]
    if policy is BundlePolicy.MAX_BUNDLE:
        return frozenset(usable[:1])
    first: dict[str, int] = {}
    for index in usable:
        first.setdefault(media[index].kind, index)
    return frozenset(first.values())


def _bundle_only(section: Media) -> Media:
    return replace(
        section, port=0, bundle_only=True, candidates=(), end_of_candidates=False, ice_ufrag=None, ice_pwd=None,
        ice_options=None, fingerprints=(), setup=None, rtcp=None, connection=None,
    )  # fmt: skip
