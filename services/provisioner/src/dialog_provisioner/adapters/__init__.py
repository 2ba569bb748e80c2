"""The ports of the provisioner on PostgreSQL, Kafka and Faust."""
