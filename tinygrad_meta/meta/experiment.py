"""MAML on sine waves beside everything it is compared with: what ``python -m tinygrad_meta`` runs.

All methods start from the same parameters, see the same batches of tasks and take the same number of steps.  They are trained
side by side, so they stay comparable when training is stopped early.
"""

from functools import partial
from itertools import tee

import numpy as np

from ..nn import init_mlp, mlp, mse_loss
from ..optim import cosine_decay
from ..tasks import SineTasks
from ..tree import tree_map
from .baselines import STEP_SIZES, best_step_size, pooled_loss, reveal
from .evaluate import evaluate, summarize
from .maml import adapt, maml_loss
from .train import train


class Experiment:
    """Train, evaluate and predict with all methods.

    Parameters
    ----------
    config : object
        Its attributes are the options of ``python -m tinygrad_meta maml``.

    Attributes
    ----------
    params : dict
        The parameters of each method, by its name in tables and legends.
    step_sizes : dict
        The inner step size that each method is evaluated with.
    iterations : int
        How many training steps each method has taken.
    """

    def __init__(self, config):
        self.config, self.iterations = config, 0
        self.tasks = SineTasks(dtype=config.dtype)
        for_parameters, self.for_training, self.for_choice, self.for_test = np.random.default_rng(config.seed).spawn(4)
        draw = partial(init_mlp, rng=for_parameters, initializer=config.initializer, dtype=config.dtype)
        initial, oracle = draw([1, *config.hidden, 1]), draw([3, *config.hidden, 1])

        maml = partial(maml_loss, self.loss_fn, step_size=config.inner_step_size, steps=config.inner_steps)
        pooled = partial(pooled_loss, self.loss_fn)
        self.objectives = {
            "MAML": maml,
            "first-order": partial(maml, first_order=True),
            "pre-trained": pooled,
            "oracle": lambda params, batch: pooled(params, reveal(batch)),
        }
        if config.first_order:
            del self.objectives["MAML"]
        self.params = dict.fromkeys([*self.objectives, "random"], initial) | {"oracle": oracle}
        self.step_sizes = dict.fromkeys(self.params, config.inner_step_size)

    def loss_fn(self, params, x, y):
        return mse_loss(mlp(params, x, self.config.activation), y)

    def batches(self, at_once=50):
        """Batches of tasks without end, drawn many at once: on so little data a call costs more than its numbers."""
        c = self.config
        while True:
            many = self.tasks.sample(at_once * c.tasks, c.shots, c.shots, self.for_training)
            for i in range(0, at_once * c.tasks, c.tasks):
                yield tree_map(lambda a, i=i: a[i : i + c.tasks], many)

    def train(self, progress):
        """Train all methods side by side; call ``progress`` with the first one's loss after each step.

        Ctrl-C ends the training early and keeps what has been learnt.
        """
        c = self.config
        step_sizes = [c.meta_step_size] * c.iterations
        if c.schedule == "cosine":
            step_sizes = [cosine_decay(c.meta_step_size, i, c.iterations, c.iterations // 10) for i in range(c.iterations)]
        copies = tee(self.batches(), len(self.objectives))
        runs = [train(objective, self.params[method], batches, step_sizes, c.clip, c.eager)
                for (method, objective), batches in zip(self.objectives.items(), copies, strict=True)]
        try:
            for states in zip(*runs, strict=True):
                self.params.update(zip(self.objectives, [params for params, _ in states], strict=True))
                self.iterations += 1
                progress(states[0][1])
        except KeyboardInterrupt:
            pass

    def evaluate(self, steps=10):
        """Errors on new tasks after 0, 1, ... ``steps`` gradient steps: a summary for each method.

        The networks that were not trained to adapt do so with the best step size of a grid, chosen on yet other tasks.  The
        oracle does not adapt.
        """
        c = self.config
        batch = self.tasks.sample(c.test_tasks, c.shots, c.shots, self.for_test)
        choice = self.tasks.sample(1000, c.shots, c.shots, self.for_choice)
        for method in ("pre-trained", "random"):
            self.step_sizes[method] = best_step_size(self.loss_fn, self.params[method], choice, STEP_SIZES, steps)
        errors = {method: evaluate(self.loss_fn, params, batch, self.step_sizes[method], steps)
                  for method, params in self.params.items() if method != "oracle"}
        errors["oracle"] = evaluate(self.loss_fn, self.params["oracle"], reveal(batch), 0, steps=0)
        return {method: summarize(losses) for method, losses in errors.items()}

    def predict(self, methods, steps=(0, 1, 10)):
        """One new task, and what methods make of it after some numbers of gradient steps.

        Returns
        -------
        task : TaskBatch
            Of this one task; its query set is a fine grid.
        predictions : dict ``{method: {steps: array like the grid}}``
        """
        c = self.config
        task = self.tasks.sample(1, c.shots, 0, self.for_test)
        grid = np.linspace(*self.tasks.x, 201, dtype=c.dtype).reshape(1, -1, 1)
        task = task._replace(query=(grid, task.amplitude * np.sin(task.phase + grid)))
        predictions = {}
        for method in methods:
            after = partial(adapt, self.loss_fn, self.params[method], task.support, self.step_sizes[method])
            predictions[method] = {n: mlp(after(steps=n), grid, c.activation).numpy() for n in steps}
        return task, predictions
