"""What else a graph is good for: ``text.py`` prints it, ``compile.py`` replays it."""

from .compile import compile
from .text import trace

__all__ = ["compile", "trace"]
