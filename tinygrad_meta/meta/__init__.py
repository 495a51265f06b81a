"""Learning to learn: ``maml.py`` is Algorithm 1, ``train.py`` its outer loop, ``evaluate.py`` meta-testing, ``baselines.py``
what MAML is compared with, and ``experiment.py`` the comparison.

``relatives.py`` is the rest of its family, ``matching.py`` and ``hypernetwork.py`` are the other two, and ``families.py``
compares all of them.  ``challenge.py`` takes Omniglot's one-shot test."""

from .baselines import best_step_size, pooled_loss, reveal
from .evaluate import Summary, evaluate, summarize
from .hypernetwork import head_hypernetwork, hypernetwork, init_head_hypernetwork, init_hypernetwork
from .maml import adapt, maml, maml_loss, maml_loss_task_by_task, query_loss
from .matching import init_matching, matching, prototypes
from .relatives import anil, imaml, imaml_loss, init_meta_sgd, meta_sgd, reptile_loss
from .train import Diverged, train

__all__ = [
    "Diverged", "Summary", "adapt", "anil", "best_step_size", "evaluate", "head_hypernetwork", "hypernetwork", "imaml",
    "imaml_loss", "init_head_hypernetwork", "init_hypernetwork", "init_matching", "init_meta_sgd", "maml", "maml_loss",
    "maml_loss_task_by_task", "matching", "meta_sgd", "pooled_loss", "prototypes", "query_loss", "reptile_loss", "reveal",
    "summarize", "train",
]  # fmt: skip
