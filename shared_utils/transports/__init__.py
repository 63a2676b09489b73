"""The ways in. Each adapts a stage's request and response; none imports another."""
