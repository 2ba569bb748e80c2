"""The events of the dialog-sip bus: pydantic models, CloudEvents codec, topic table."""
