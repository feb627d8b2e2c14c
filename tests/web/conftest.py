"""The fixtures that start servers."""

from web_server import serve, served

__all__ = ["serve", "served"]
