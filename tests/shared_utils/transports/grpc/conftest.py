"""Small good requests, as the tests of bad input have them."""

from tests.bad_input.conftest import good

__all__ = ["good"]
