"""The vtryon command."""
