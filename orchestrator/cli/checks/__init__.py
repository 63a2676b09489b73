"""What `vtryon doctor` looks at."""
