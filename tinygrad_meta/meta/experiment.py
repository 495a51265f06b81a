"""MAML on sine waves beside everything it is compared with: what ``python -m tinygrad_meta`` runs.

All methods start from the same parameters, see the same batches of tasks and take the same number of steps.  They are trained
side by side, so they stay comparable when training is stopped early.

Training can be left and gone on with: parameters, Adam's sums, the number of iterations and the state of the random
generator are all that there is to it.
"""

from functools import partial
from itertools import repeat, tee
from typing import NamedTuple

import numpy as np

from ..nn import init_mlp, mlp, mse_loss
from ..optim import Adam, cosine_decay, split
from ..tasks import SineTasks
from ..tensor import as_tensor
from ..tree import leaves, rebuild
from .baselines import STEP_SIZES, best_step_size, pooled_loss, reveal
from .checkpoint import CheckpointError, Checkpoints, differences
from .evaluate import evaluate, summarize
from .maml import adapt, maml_loss
from .parallel import part
from .train import Diverged, train

DECISIVE = (  # options that the numbers of a training depend on, to the last bit
    "shots", "tasks", "iterations", "inner_steps", "inner_step_size", "meta_step_size", "schedule", "clip", "first_order",
    "hidden", "activation", "initializer", "dtype", "eager", "seed",
)  # fmt: skip
BLOCK = 50  # batches that are drawn at once: on so little data a call costs more than its numbers


class State(NamedTuple):
    """All that a training consists of, after an iteration."""

    iterations: int
    params: dict  # of every method that is trained
    sums: dict  # Adam's, of the same methods
    drawn: int  # batches in all blocks before the latest
    generator: dict  # the state of the random generator before it drew the latest block


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
    workers : int
        How many parts a batch is split into to be computed, or was before a checkpoint that was gone on from.
    """

    def __init__(self, config):
        self.config = config
        self.tasks = SineTasks(dtype=config.dtype)
        for_parameters, self.for_training, self.for_choice, self.for_test = np.random.default_rng(config.seed).spawn(4)
        draw = partial(init_mlp, rng=for_parameters, initializer=config.initializer, dtype=config.dtype)
        initial, oracle = draw([1, *config.hidden, 1]), draw([3, *config.hidden, 1])

        self.loss_fn = partial(loss_fn, config.activation)
        maml = partial(maml_loss, self.loss_fn, step_size=config.inner_step_size, steps=config.inner_steps)
        self.objectives = {
            "MAML": maml,
            "first-order": partial(maml, first_order=True),
            "pre-trained": partial(pooled_loss, self.loss_fn),
            "oracle": partial(oracle_loss, self.loss_fn),
        }
        if config.first_order:
            del self.objectives["MAML"]
        start = dict.fromkeys([*self.objectives, "random"], initial) | {"oracle": oracle}
        self.untrained = {"random": start.pop("random")}
        self.state = State(0, start, dict.fromkeys(start), 0, self.for_training.bit_generator.state)
        self.step_sizes = dict.fromkeys(self.params, config.inner_step_size)
        self.checkpoints = Checkpoints(config.output)
        self.workers = 1

    @property
    def params(self):
        return {**self.state.params, **self.untrained}

    @property
    def iterations(self):
        return self.state.iterations

    def batches(self):
        """Batches of tasks without end, from where the state is."""
        c, drawn = self.config, self.state.drawn
        used = self.iterations - drawn  # batches of the latest block
        self.for_training.bit_generator.state = self.state.generator
        while True:
            self.block = drawn, self.for_training.bit_generator.state
            many = self.tasks.sample(BLOCK * c.tasks, c.shots, c.shots, self.for_training)
            for i in range(used, BLOCK):
                yield part(many, i * c.tasks, (i + 1) * c.tasks)
            drawn, used = drawn + BLOCK, 0

    def train(self, progress, executor=None, workers=None):
        """Train all methods side by side, from where the state is; call ``progress`` with the first one's loss after each step.

        Ctrl-C ends the training early and keeps what has been learnt.

        Parameters
        ----------
        progress : function ``(loss)``
        executor, workers
            As for :func:`~tinygrad_meta.meta.train`.
        """
        self.workers = workers or 1
        copies = tee(self.batches(), len(self.objectives))
        optimizers = {method: self.optimizer(method) for method in self.objectives}
        runs = [self.run(method, batches, optimizers[method], executor, workers)
                for method, batches in zip(self.objectives, copies, strict=True)]
        try:
            for steps in zip(*runs, strict=True):
                params = dict(zip(self.objectives, [params for params, _ in steps], strict=True))
                sums = {method: optimizer.state for method, optimizer in optimizers.items()}
                self.state = State(self.iterations + 1, params, sums, *self.block)  # at once, whenever Ctrl-C comes
                progress(steps[0][1])
        except KeyboardInterrupt:
            pass

    def optimizer(self, method):
        optimizer = Adam()
        optimizer.state, optimizer.steps = self.state.sums[method], self.iterations
        return optimizer

    def run(self, method, batches, optimizer, executor, workers):
        """The training of one method, which an error names."""
        objective, params, c = self.objectives[method], self.state.params[method], self.config
        try:
            yield from train(objective, params, batches, self.meta_step_sizes(), c.clip, c.eager, optimizer, executor, workers)
        except Diverged as error:
            error.args = (f"{method}: {error}",)
            raise

    def meta_step_sizes(self):
        """Those of the iterations to come."""
        c, n = self.config, self.config.iterations
        if c.schedule == "constant":
            return repeat(c.meta_step_size, n - self.iterations)
        return (cosine_decay(c.meta_step_size, i, n, warmup=n // 10) for i in range(self.iterations, n))

    def save(self):
        """Write a checkpoint of the state."""
        facts = {"configuration": self.configuration(), "workers": self.workers, "drawn": self.state.drawn,
                 "generator": self.state.generator}
        self.checkpoints.save(self.iterations, self.config.iterations, self.arrays(), facts)

    def configuration(self):
        return {name: getattr(self.config, name) for name in DECISIVE}

    def arrays(self):
        """Of every method parameters and Adam's two sums, each as one vector: arrays of shape (3, parameters)."""
        arrays = {}
        for method, params in self.state.params.items():
            theta = np.concatenate([p.data.ravel() for p in leaves(params)])
            sums = self.state.sums[method] or [as_tensor(0 * theta)] * 2  # before the first iteration
            arrays[method] = np.stack([theta, *[each.data for each in sums]])
        return arrays

    def resume(self):
        """Go on from the latest checkpoint: see :meth:`Checkpoints.resume`, whose complaints about other files are returned."""
        self.state, passed_over = self.checkpoints.resume(self.state_of)
        return passed_over

    def state_of(self, arrays, facts):
        """The state that was saved, or an error if it is not one of this configuration."""
        now = self.configuration()
        if self.config.schedule == "constant":  # else every step's size depends on how many there will be
            del now["iterations"]
        if different := differences(facts["configuration"], now):
            raise CheckpointError(f"is of another run: {different}")
        if self.config.iterations < facts["iteration"]:
            raise CheckpointError(f"is of iteration {facts['iteration']:,} already, and {self.config.iterations:,} are wanted")
        here, there = ({method: (a.shape, a.dtype) for method, a in each.items()} for each in (self.arrays(), arrays))
        if here != there:
            raise CheckpointError("holds other parameters than those of this run")
        if not 0 < facts["iteration"] - facts["drawn"] <= BLOCK:
            raise CheckpointError("holds other batches of tasks than those of its iteration")
        self.workers = facts.get("workers", 1)
        self.for_training.bit_generator.state = facts["generator"]  # raises what a wrong one deserves
        params = {method: rebuild(start, split(as_tensor(arrays[method][0]), leaves(start)))
                  for method, start in self.state.params.items()}
        sums = {method: [as_tensor(each) for each in arrays[method][1:]] for method in params}
        return State(facts["iteration"], params, sums, facts["drawn"], facts["generator"])

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


# What is trained consists of functions that other processes can be sent.


def loss_fn(activation, params, x, y):
    return mse_loss(mlp(params, x, activation), y)


def oracle_loss(loss_fn, params, batch):
    return pooled_loss(loss_fn, params, reveal(batch))
