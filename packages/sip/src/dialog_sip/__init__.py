"""SIP sans-I/O: messages, transactions, registration, SIP dialogs, SDP, digest; asyncio drivers in dialog_sip.aio."""
