"""What the gateway says over gRPC, and its client."""
