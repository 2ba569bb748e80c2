"""Sound of the test phones: G.711, tones, RTP and its telephone events, and a socket that speaks them."""
