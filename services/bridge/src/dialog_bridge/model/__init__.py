"""What the bridge decides: calls, routing, policy. Pure: no I/O, no clock, no event loop."""
