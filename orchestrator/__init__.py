"""What stands above the stages: the vtryon command."""
