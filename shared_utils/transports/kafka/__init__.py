"""A stage behind Kafka, and what the orchestrator shares with it."""
