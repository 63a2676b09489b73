"""A stage behind HTTP, and what the gateway's HTTP shares with it."""
