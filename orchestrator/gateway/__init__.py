"""The door for people and programs that do not speak Kafka: try-ons over HTTP and gRPC."""
