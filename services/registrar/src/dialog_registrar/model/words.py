"""What statuses tell an administrator: what happened, and what to do about it."""

from __future__ import annotations

from datetime import datetime

from dialog_schemas.registrations import RegistrationStatus

from dialog_registrar.model.mapping import Mapping, Server

IN_DOUBT = "Kafka does not say now which registrar holds this mapping: it is tried again in a moment"
WAITS_FOR_PASSWORD = "the password is being read from the table"  # noqa: S105
TABLE_AWAY = "the table with the passwords cannot be read now; tried again until it can"


def left(status: RegistrationStatus | None) -> str:
    """Say that nobody knows any more how to remove a binding."""
    ends = "" if status is None or status.expires_at is None else f" at {status.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    return (
        "the row was removed while no registrar ran, and its password went with it: "
        f"its binding at the PBX ends by itself{ends}"
    )


_ADVICE = {
    401: "it does not accept the password: correct sip_password or sip_user in sip_user_mappings",
    402: "it wants to be paid: ask who runs it",
    403: "it forbids this user to register: check the user's rights there, and sip_password",
    404: "it does not know the user {user}: create it there, or correct sip_user or sip_host",
    405: "it takes no REGISTER: check that sip_host and sip_port are those of a registrar",
    407: "it does not accept the password: correct sip_password or sip_user in sip_user_mappings",
    410: "the user {user} is gone there: create it again, or delete the row",
    416: "it does not take the address: correct sip_user or sip_host",
    423: "it wants longer registrations than are allowed here",
    484: "it does not take the address: correct sip_user or sip_host",
    501: "it takes no REGISTER: check that sip_host and sip_port are those of a registrar",
    503: "it is overloaded or under maintenance",
    603: "it declines: check the user's rights there",
}


def refused(mapping: Mapping, code: int, phrase: str) -> str:
    """Say what an answer of the PBX means."""
    advice = _ADVICE.get(code, "it is tried again" if code >= 500 else "see the log of the PBX for why")
    return f"the PBX answered {code} {phrase}: {advice.format(user=mapping.user)}"


def silent(server: Server, since: datetime) -> str:
    """Say that nothing is heard of a PBX."""
    return (
        f"no answer from the PBX {server.host}:{server.port} ({server.transport.value}) since {since:%H:%M:%S} UTC: "
        "check that it runs and that it can be reached from here"
    )


def no_flow(why: str | None) -> str:
    """Say that there is no flow to a PBX."""
    return f"there is no connection to the PBX: {why or 'it is being opened'}"


def broken(server: Server) -> str:
    """Say that the network does not carry anything to a PBX."""
    return (
        f"the PBX {server.host}:{server.port} ({server.transport.value}) cannot be reached: "
        "check sip_host, sip_port and the firewall, and that it runs"
    )


NO_ROW = "there is no such row in sip_user_mappings any more, or the registrar reads another table than the provisioner"
