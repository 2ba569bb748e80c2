"""What every dialog-sip service needs round its logic: config, bus, clock, health, metrics, logging."""
