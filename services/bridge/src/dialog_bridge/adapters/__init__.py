"""What gives the bridge its ports: Kafka, media engines."""
