"""Keeps every mapping REGISTERed; the SIP edge: sockets, transactions, passwords."""
