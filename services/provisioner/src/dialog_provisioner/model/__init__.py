"""What the provisioner decides: pure functions, no I/O."""
