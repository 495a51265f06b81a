"""What else a graph is good for: ``text.py`` prints it, ``draw.py`` and ``animate.py`` show it, ``compile.py`` replays it."""

from ..autodiff import scope
from .animate import animate
from .compile import compile
from .draw import draw
from .expression import expression
from .text import trace

__all__ = ["animate", "compile", "draw", "expression", "scope", "trace"]
