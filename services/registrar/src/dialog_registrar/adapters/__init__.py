"""What gives the registrar its ports: Kafka, PostgreSQL, SIP."""
