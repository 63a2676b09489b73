"""A stage from the command line: flags in, JSON on stdout."""
