"""What the page shows, folded from the events of the bus. No I/O."""
