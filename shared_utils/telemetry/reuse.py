"""How often work is found done: told to whoever wants to know."""

from shared_utils.telemetry.told import Told

looked_for: Told[str, bool] = Told("looked_for")
"""What the work was, and whether it was found."""
