"""JsSIP in Chromium at our websocket listener: registers, calls, is called, hangs up; sound goes between browsers."""

from __future__ import annotations

import asyncio

import pytest
from dialog_sandbox.pbx.accounts import Accounts
from dialog_sandbox.pbx.pbx import Pbx, PbxOptions
from playwright.async_api import Page
from pydantic import SecretStr

pytestmark = pytest.mark.needs("chromium", "npm")

PASSWORD = "a-secret"
WITHIN = 30.0


async def test_browsers_register_and_call(jssip_page: Page) -> None:
    accounts = Accounts(SecretStr(PASSWORD))
    options = PbxOptions(accounts, port=0, phones=False, ws_port=0)
    async with asyncio.timeout(WITHIN), Pbx(options) as pbx:
        assert pbx.ws_address is not None
        host, port = pbx.ws_address
        for user in ("anna", "berta"):
            register = "([url, user, password, domain]) => phones.register(url, user, password, domain)"
            assert await jssip_page.evaluate(register, [f"ws://{host}:{port}/", user, PASSWORD, host]) == 200
        bound = pbx.bindings()
        assert {each["transport"] for user in ("anna", "berta") for each in bound[user]} == {"ws"}
        assert ".invalid" in str(bound["anna"][0]["contact"])
        await jssip_page.evaluate("uri => phones.call('anna', uri)", f"sip:berta@{host}")
        assert await jssip_page.evaluate("phones.log") == ["berta is called by anna"]
        for user in ("anna", "berta"):
            assert await jssip_page.evaluate("user => phones.heard(user)", user) > 0
        assert await jssip_page.evaluate("phones.hangup('berta', 'anna')") == "remote"
        for user in ("anna", "berta"):
            assert await jssip_page.evaluate("user => phones.unregister(user)", user)
        assert not any(pbx.bindings().values())
