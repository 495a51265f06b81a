"""Learning to learn: ``maml.py`` is Algorithm 1, ``train.py`` its outer loop, ``evaluate.py`` meta-testing, ``baselines.py``
what MAML is compared with, and ``experiment.py`` the comparison."""

from .baselines import best_step_size, pooled_loss, reveal
from .evaluate import Summary, evaluate, summarize
from .maml import adapt, maml_loss, maml_loss_task_by_task
from .train import train

__all__ = ["Summary", "adapt", "best_step_size", "evaluate", "maml_loss", "maml_loss_task_by_task", "pooled_loss", "reveal",
           "summarize", "train"]
