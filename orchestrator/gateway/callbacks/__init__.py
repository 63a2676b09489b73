"""Telling others when a try-on has ended."""
