"""State that is owned by partition: fenced, restored, written in transactions."""
