"""Where few-shot tasks come from: ``sine.py`` for regression; for classification ``images.py``, which makes tasks of any
labelled images, ``drawn.py``, which draws some, and ``omniglot.py``, which fetches and reads others (imported by itself)."""

from .drawn import drawn_alphabet
from .images import ImageBatch, ImageTasks, centred, distort, rotated
from .sine import SineTasks, TaskBatch

__all__ = ["ImageBatch", "ImageTasks", "SineTasks", "TaskBatch", "centred", "distort", "drawn_alphabet", "rotated"]
