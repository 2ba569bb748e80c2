"""How the console reaches the outside: the web, the bus, the sandbox PBX."""
