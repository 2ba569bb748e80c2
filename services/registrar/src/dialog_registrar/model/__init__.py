"""What the registrar decides: pure, with time as an argument."""
