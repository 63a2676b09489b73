"""Stages over gRPC."""
