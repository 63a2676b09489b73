"""What Kafka tells of try-ons, in a table that can be thrown away."""
