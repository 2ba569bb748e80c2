"""What is decided about a run of chaos, and what is concluded from it: no I/O, time is an argument."""
