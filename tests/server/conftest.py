"""The fixtures of `server_kit`, for the tests here."""

from server_kit import connect, serve

__all__ = ["connect", "serve"]
