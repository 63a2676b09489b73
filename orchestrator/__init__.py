"""What stands above the stages: the workflow of a whole try-on, and the vtryon command."""
