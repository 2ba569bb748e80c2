"""What the answers of PBXs to a REGISTER are taken for."""

from __future__ import annotations

import pytest
from dialog_sip import Response
from dialog_sip.registration.answer import granted_expires

OURS = "sip:434@10.0.0.5:5062;transport=tcp"


@pytest.mark.parametrize(
    ("contacts", "expires", "granted"),
    [
        # Our own among the bindings of other devices.
        ("<sip:434@10.0.0.9>;expires=10, <sip:434@10.0.0.5:5062;transport=tcp>;expires=50", None, 50),
        # Parameters lost on the way.
        ("<sip:434@10.0.0.9:5062>;expires=10, <sip:434@10.0.0.5:5062>;expires=50", None, 50),
        # Rewritten behind a NAT, alone with our user.
        ("<sip:434@198.51.100.1:61000>;expires=70", None, 70),
        ("<sip:434@198.51.100.1:61000>;expires=70, <sip:other@10.0.0.9>;expires=10", None, 70),
        # Two that could be ours: none is taken for it.
        ("<sip:434@198.51.100.1:61000>;expires=70, <sip:434@10.0.0.9>;expires=10", None, None),
        ("<sip:other@10.0.0.9>;expires=10", None, None),
        # The header counts where the parameter is missing.
        ("<sip:434@10.0.0.5:5062;transport=tcp>", "40", 40),
        ("<sip:434@10.0.0.5:5062;transport=tcp>;expires=x", "40", 40),
        ("<sip:434@10.0.0.5:5062;transport=tcp>", None, 1800),
        (None, "40", 40),
        (None, None, 1800),
        # Unreadable ones disturb nothing.
        ("<http://x>;expires=3, <sip:434@10.0.0.5:5062;transport=tcp>;expires=50", None, 50),
        ("<sip:", None, 1800),
    ],
)
def test_granted(contacts: str | None, expires: str | None, granted: int | None) -> None:
    headers = [(name, value) for name, value in (("Contact", contacts), ("Expires", expires)) if value is not None]
    assert granted_expires(Response(200, None, headers), OURS, 1800) == granted


def test_a_binding_that_was_to_be_dropped_is_not_taken_for_ours() -> None:
    response = Response(200, None, [("Contact", "<sip:434@10.0.0.7>;expires=10")])
    assert granted_expires(response, OURS, 1800, ["sip:434@10.0.0.7"]) is None
