"""The SIP edge: what bridges send to the PBX and what the PBX sends to bridges."""
