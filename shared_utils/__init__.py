"""What the four services and the orchestrator share. Imports none of them."""

__version__ = "0.1.0"
