"""Debian's Kamailio on loopback as the PBX: registrar with digest, Record-Route proxy between its users.

Its bindings are in memory: an end, however it comes, forgets them. With ``journal`` it writes a line of its log for
each binding that it takes or that runs out (:data:`JOURNAL`), so that nobody has to ask it twice a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dialog_sandbox.errors import SandboxError
from dialog_sandbox.paths import free_port
from dialog_sandbox.process import Child

_PROGRAM = shutil.which("kamailio", path=os.environ.get("PATH", "") + ":/usr/sbin") or "kamailio"
_READY_WITHIN = 15.0
_STOPPED_WITHIN = 10.0

_CONFIG = """\
debug=2
log_stderror=yes
fork=yes
children=2
tcp_children=2
auto_aliases=no
disable_tcp=no
tcp_connection_lifetime=3604
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
{listeners}

loadmodule "jsonrpcs.so"
loadmodule "kex.so"
loadmodule "corex.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "auth.so"
{modules}

modparam("jsonrpcs", "transport", 4)
modparam("jsonrpcs", "dgram_socket", "{folder}/rpc.sock")
modparam("tm", "fr_timer", 5000)
modparam("tm", "fr_inv_timer", 30000)
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "timer_interval", 1)
modparam("registrar", "default_expires", {max_expires})
modparam("registrar", "min_expires", {min_expires})
modparam("registrar", "max_expires", {max_expires})
modparam("registrar", "max_contacts", 5)
modparam("auth", "nonce_expire", {nonce_expire})
modparam("auth", "nonce_count", {nonce_count:d})
modparam("auth", "qop", "auth")
modparam("rr", "enable_full_lr", 1)

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ {nat_alias} t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        sl_send_reply("404", "Not Here");
        exit;
    }}
    if (is_method("ACK")) {{ exit; }}
    if (is_method("OPTIONS") && uri == myself && $rU == $null) {{ sl_send_reply("200", "OK"); exit; }}
    t_check_trans();
    if (is_method("REGISTER")) {{
        if ("{unknown}" != "" && $tU == "{unknown}") {{ sl_send_reply("404", "Not Found"); exit; }}
        if (!pv_www_authenticate("$td", "{password}", "0")) {{ www_challenge("$td", "1"); exit; }}
        {nat_register}
        if (!save("location")) {{ sl_reply_error(); exit; }}
        {on_saved}
        exit;
    }}
    if ({challenge_calls:d} && is_method("INVITE") && reg_fetch_contacts("location", "$fu", "caller")) {{
        if (!pv_proxy_authenticate("$fd", "{password}", "0")) {{ proxy_challenge("$fd", "1"); exit; }}
        consume_credentials();
    }}
    {nat_contact}
    record_route();
    if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
    t_relay();
}}
{replies}
{on_expired}
"""

_PLAIN = dict.fromkeys(
    ("listeners", "modules", "nat_register", "nat_alias", "nat_contact", "replies", "on_saved", "on_expired"), ""
)
"""What may stand in the configuration besides."""

JOURNAL = "journal"
"""Word before ``bound EPOCH USER SECONDS CONTACT`` and ``expired EPOCH USER CONTACT``, epoch in seconds."""

_JOURNAL = {
    "on_saved": f'xlog("L_NOTICE", "{JOURNAL} bound $TV(Sn) $tU $ct\\n");',
    "on_expired": f"""event_route[usrloc:contact-expired] {{
    xlog("L_NOTICE", "{JOURNAL} expired $TV(Sn) $ulc(exp=>aor) $ulc(exp=>addr)\\n");
}}""",
}

DEFAULTS: dict[str, Any] = {
    "min_expires": 0,
    "max_expires": 3600,
    "challenge_calls": False,
    "unknown": "",
    "nonce_count": True,
    "nonce_expire": 300,
}
"""Options: ``min_expires``, ``max_expires`` and ``nonce_expire`` in seconds, ``challenge_calls`` (407 for INVITEs of
registered users), ``unknown`` (a user that it answers 404), ``nonce_count`` (nonces may be used again)."""


class Kamailio:
    """One Kamailio. ``folder`` has to have a short name: that of a Unix socket has at most 107 characters."""

    def __init__(self, folder: Path, password: str, *, port: int = 0, journal: bool = False, **options: Any) -> None:  # noqa: ANN401  texts and numbers
        self.folder = folder
        self.port = port or free_port(socket.SOCK_DGRAM, socket.SOCK_STREAM)
        self.options: dict[str, Any] = DEFAULTS | options | {"password": password} | (_JOURNAL if journal else {})
        self._child: Child | None = None
        self._ids = itertools.count(1)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, the same for UDP and TCP."""
        return "127.0.0.1", self.port

    @property
    def log_file(self) -> Path:
        """Where it writes."""
        return self.folder / "kamailio.log"

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self.log_file.read_text(errors="replace")

    async def start(self) -> None:
        """Start it, or start it again with all bindings forgotten, and wait until it answers.

        Raises :class:`SandboxError`.
        """
        config = self.folder / "kamailio.cfg"
        config.write_text(_CONFIG.format(port=self.port, folder=self.folder, **{**_PLAIN, **self.options}))
        (self.folder / "rpc.sock").unlink(missing_ok=True)
        self._child = Child.spawn(
            [_PROGRAM, "-f", config, "-DD", "-E", "-m", "32", "-M", "4", "-Y", self.folder, "-w", self.folder],
            log=self.log_file,
            death_signal=signal.SIGTERM,
        )
        try:
            async with asyncio.timeout(_READY_WITHIN):
                while not await self._answers():
                    if (code := self._child.returncode()) is not None:
                        raise SandboxError(f"kamailio ended with {code}:\n{self.log[-2000:]}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            await self.stop()
            raise SandboxError(f"kamailio is not ready after {_READY_WITHIN} s:\n{self.log[-2000:]}") from None

    async def stop(self) -> None:
        """End it and its children."""
        child = self._child
        if child is None:
            return
        self.send(signal.SIGTERM)
        if await child.wait_async(_STOPPED_WITHIN) is None:
            await self.kill()
        self._child = None

    async def kill(self) -> None:
        """End all its processes as a crash would."""
        child, self._child = self._child, None
        if child is not None:
            _signal_group(child.pid, signal.SIGKILL)
            await child.wait_async(_STOPPED_WITHIN)

    def send(self, signum: signal.Signals) -> None:
        """Send a signal to all its processes."""
        if self._child is not None:
            _signal_group(self._child.pid, signum)

    async def _answers(self) -> bool:
        try:
            await self.rpc("core.uptime", within=0.5)
        except (OSError, TimeoutError):
            return False
        return True

    async def rpc(self, method: str, *params: Any, within: float = 5.0) -> Any:  # noqa: ANN401  JSON
        """Call a JSON-RPC method; an error it reports is a :class:`LookupError`."""
        call = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": next(self._ids)}
        mine = self.folder / f"ask-{call['id']}.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            try:
                sock.bind(str(mine))
                sock.connect(str(self.folder / "rpc.sock"))
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(sock, json.dumps(call).encode())
                answer = json.loads(await asyncio.wait_for(loop.sock_recv(sock, 1 << 20), within))
            finally:
                mine.unlink(missing_ok=True)
        if "error" in answer:
            raise LookupError(answer["error"])
        return answer["result"]

    async def contacts(self, user: str) -> list[dict[str, Any]]:
        """Return the bindings of a user: dicts with ``Address``, ``Expires``, ``Call-ID``, ``CSeq``, ``User-Agent``."""
        try:
            found = await self.rpc("ul.lookup", "location", user)
        except LookupError:
            return []
        return [item["Contact"] for item in found["Contacts"]]

    async def wait_contacts(
        self, user: str, until: Callable[[list[dict[str, Any]]], bool] = bool, within: float = 10.0
    ) -> list[dict[str, Any]]:
        """Wait until the bindings of a user are as ``until`` wants them, and return them."""
        async with asyncio.timeout(within):
            while True:
                found = await self.contacts(user)
                if until(found):
                    return found
                await asyncio.sleep(0.03)


def _signal_group(pid: int, signum: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signum)
