"""A small PBX with test phones: a registrar server and a proxy that stays in the path."""

from dialog_sandbox.pbx.accounts import Accounts
from dialog_sandbox.pbx.dialing import Order
from dialog_sandbox.pbx.pbx import Pbx, PbxOptions

__all__ = ["Accounts", "Order", "Pbx", "PbxOptions"]
