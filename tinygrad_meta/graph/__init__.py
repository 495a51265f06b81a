"""What else a graph is good for: ``text.py`` prints it."""

from .text import trace

__all__ = ["trace"]
