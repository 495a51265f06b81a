"""Where few-shot tasks come from."""

from .sine import SineTasks, TaskBatch

__all__ = ["SineTasks", "TaskBatch"]
