"""Kamailio's uac module against the same simulated PBX, where it is installed: what others need for the same."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from dialog_sandbox.paths import free_port
from dialog_sandbox.process import Child
from dialog_sandbox.simulator import Simulator
from dialog_sandbox.stack.temporary import temporary_state
from pydantic import SecretStr

from dialog_console.benchmarks.process_stats import cpu_seconds, descendants
from dialog_console.benchmarks.registrar.options import Options
from dialog_console.benchmarks.row import Row

MOST_USERS = 10_000
"""With more it falls behind for good, which takes minutes to see."""
BOUND_WITHIN = 240.0
SETTLE = 60.0
_PASSWORD = "uac"  # noqa: S105  of nobody
_MODULES = Path("/usr/lib/x86_64-linux-gnu/kamailio/modules")
_CONFIG = """\
debug=0
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:{port}
mpath="{modules}/"
loadmodule "pv.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "db_text.so"
loadmodule "uac.so"
modparam("uac", "restore_mode", "none")
modparam("uac", "reg_db_url", "text://{folder}")
modparam("uac", "reg_contact_addr", "127.0.0.1:{port}")
modparam("uac", "reg_hash_size", 12)
modparam("uac", "reg_timer_interval", 10)
request_route {{ exit; }}
"""
_COLUMNS = (
    "id(int,auto) l_uuid(string) l_username(string) l_domain(string) r_username(string) r_domain(string) "
    "realm(string) auth_username(string) auth_password(string) auth_ha1(string,null) auth_proxy(string) expires(int) "
    "flags(int) reg_delay(int) contact_addr(string,null) socket(string,null)"
)
_VERSION = "table_name(string) table_version(int)\nuacreg:5\n"


async def beside(users: Sequence[int], options: Options) -> list[Row]:
    """Measure it with each number of users that it can be measured with."""
    program = shutil.which("kamailio", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None or not (_MODULES / "uac.so").is_file():
        return [Row("Kamailio's uac module", float("nan"), "", peers="not installed, not measured")]
    rows = []
    for count in users:
        if count <= MOST_USERS:
            rows += await _measure(program, count, options)
    return rows


async def _measure(program: str, users: int, options: Options) -> list[Row]:
    size = f"Kamailio uac, {users:,} users"
    with temporary_state() as folder:
        simulator = Simulator(SecretStr(_PASSWORD), folder, expires=options.granted)
        async with simulator as pbx, _running(program, users, pbx.port, folder) as pid:
            try:
                await pbx.until_bound(users, within=BOUND_WITHIN)
            except TimeoutError:
                bound = (await pbx.state()).bound
                return [Row(f"{size}: registered after {BOUND_WITHIN:g} s", bound, "")]
            first = Row(f"{size}: CPU per 1,000 first registrations", _cpu(pid) / users * 1000, "s")
            return [first, *await _steady(pbx, pid, size, options)]


async def _steady(pbx: Simulator, pid: int, size: str, options: Options) -> list[Row]:
    await asyncio.sleep(SETTLE)
    await pbx.reset()
    before, began = _cpu(pid), time.monotonic()
    await asyncio.sleep(options.steady)
    lasted = time.monotonic() - began
    state = await pbx.state()
    return [
        Row(f"{size}, {options.granted} s granted: CPU", (_cpu(pid) - before) / lasted * 100, "%"),
        Row(f"{size}, {options.granted} s granted: lapses", state.lapses, ""),
    ]


@asynccontextmanager
async def _running(program: str, users: int, pbx_port: int, folder: Path) -> AsyncIterator[int]:
    """Start it with so many rows; all that it uses is counted, reading them included."""
    table, config = folder / "uac", folder / "kamailio.cfg"
    table.mkdir()
    (table / "version").write_text(_VERSION)
    (table / "uacreg").write_text("\n".join([_COLUMNS, *(_row(number, pbx_port) for number in range(users)), ""]))
    config.write_text(_CONFIG.format(port=free_port(), modules=_MODULES, folder=table))
    argv: list[str | Path] = [program, "-f", config, "-Y", folder, "-m", "512", "-DD", "-E"]
    child = Child.spawn(argv, log=folder / "kamailio.log")
    try:
        yield child.pid
    finally:
        await child.stop_async(5)


def _row(number: int, pbx_port: int) -> str:
    user, proxy = f"u{number}", f"sip\\:127.0.0.1\\:{pbx_port}"
    return f"{number + 1}:l{number}:{user}:local:{user}:127.0.0.1:simulator:{user}:{_PASSWORD}::{proxy}:60:0:0::"


def _cpu(pid: int) -> float:
    return sum(map(cpu_seconds, [pid, *descendants(pid)]))
