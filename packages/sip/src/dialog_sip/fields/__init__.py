"""Header fields and small bodies of the extensions (RFC 3262, 3323, 3325, 3326, 3515, 3891, 4028, 6086, 6665).

Each has its reader and its writer, and no state.
"""

from dialog_sip.fields.dtmf import Digit, digit_of, dtmf_headers
from dialog_sip.fields.identity import ANONYMOUS, Caller, PrivacyLevel, caller_of, privacy_headers, privacy_of
from dialog_sip.fields.rack import RAck, rack_of, rseq_of
from dialog_sip.fields.reason import PICKED_UP, Reason, cause_of, is_picked_up_elsewhere, reasons_of
from dialog_sip.fields.refer_to import (
    ReferTarget,
    refer_headers,
    refer_target_of,
    referred_by_of,
    wants_no_subscription,
)
from dialog_sip.fields.replaces import Replaces, ReplaceVerdict, find_replaced, replaces_of
from dialog_sip.fields.session_expires import Refresher, SessionExpires, min_se_of, session_expires_of
from dialog_sip.fields.subscription_state import (
    SIPFRAG,
    EventPackage,
    Progress,
    SubscriptionState,
    Substate,
    progress_of,
)

__all__ = [
    "ANONYMOUS",
    "PICKED_UP",
    "SIPFRAG",
    "Caller",
    "Digit",
    "EventPackage",
    "PrivacyLevel",
    "Progress",
    "RAck",
    "Reason",
    "ReferTarget",
    "Refresher",
    "ReplaceVerdict",
    "Replaces",
    "SessionExpires",
    "SubscriptionState",
    "Substate",
    "caller_of",
    "cause_of",
    "digit_of",
    "dtmf_headers",
    "find_replaced",
    "is_picked_up_elsewhere",
    "min_se_of",
    "privacy_headers",
    "privacy_of",
    "progress_of",
    "rack_of",
    "reasons_of",
    "refer_headers",
    "refer_target_of",
    "referred_by_of",
    "replaces_of",
    "rseq_of",
    "session_expires_of",
    "wants_no_subscription",
]
