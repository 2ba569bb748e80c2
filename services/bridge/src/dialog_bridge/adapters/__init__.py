"""What the bridge's ports are made of: Kafka, SIP relay, media."""
