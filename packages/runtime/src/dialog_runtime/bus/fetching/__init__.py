"""Reading topics: one connection a broker for everything that a process follows."""
