"""The three families of meta-learning on the same tasks: what ``python -m tinygrad_meta families`` runs.

Every method is a *learner*: it reads a support set and returns a function.  The families differ in how:

- optimisation based: a model, after gradient descent on the support set (MAML and its relatives);
- metric based: a comparison with the support points (Matching Networks, Prototypical Networks);
- model based: a network whose weights another network has written (hypernetworks).

The settings of the methods were chosen by trying, on image tasks like those of the test with seed 0.  No table below should
be read to the last digit, and one with another seed is fairer.

All that is particular to a method stands in its line of :func:`sine_methods` or :func:`image_methods`.  Everything after
that, from training to the table, treats all of them alike.
"""

import time
import warnings
from functools import partial
from itertools import count
from typing import NamedTuple

import numpy as np

from ..nn import accuracy, conv_net, cross_entropy, init_conv_net, init_mlp, layer_norm, mlp, mse_loss, one_hot
from ..ops import relu, reshape
from ..optim import cosine_decay
from ..tasks import ImageTasks, SineTasks, centred
from ..tensor import Tensor
from ..tree import entries, leaves
from ..validate import generator, kind, number, whole
from .baselines import STEP_SIZES, pooled_loss, reveal
from .hypernetwork import head_hypernetwork, hypernetwork, init_head_hypernetwork, init_hypernetwork
from .maml import maml, query_loss
from .matching import init_matching, matching, prototypes
from .parallel import part
from .pixels import euclidean, modified_hausdorff, nearest_neighbour
from .relatives import anil, imaml, imaml_loss, init_meta_sgd, meta_sgd, reptile_loss
from .train import Diverged, train


class Method(NamedTuple):
    """A way of meta-learning."""

    family: str  # optimisation, metric or model based, or a baseline
    learner: object  # function (params, support) -> predict: reads a support set and returns a function of x
    params: object = ()  # where training starts
    objective: object = None  # function (params, batch) -> loss: what training minimises, if anything
    step_size: float = 0.0  # Adam's, at its peak
    gradient_steps: int = 0  # that the learner takes on a support set
    sees: object = lambda batch: batch  # what the method is shown of a batch of tasks
    choices: tuple = ()  # if there are any, the learner is the one that does best, after training, on tasks set aside
    test_tasks: object = None  # to test on no more tasks than that


def learned(family, learner, loss, params, step_size, gradient_steps=0):
    """A method that is trained for what it is tested on: the query loss after reading the support set."""
    return Method(family, learner, params, partial(query_loss, learner, loss), step_size, gradient_steps)


# ------------------------------------------------------------------------------------------------------ on sine waves


def sine_methods(rng=None, hidden=(40, 40), dtype=np.float32):
    """All methods for regression, by name.  Those with the same network start from the same parameters."""
    rng = generator(rng)
    draw = partial(init_mlp, rng=rng, dtype=dtype)
    theta, oracle, embedding = draw([1, *hidden, 1]), draw([3, *hidden, 1]), draw([1, *hidden, hidden[-1]])
    descent = partial(maml, mlp, mse_loss, step_size=0.01)
    proximal = {"step_size": 0.005, "steps": 10, "strength": 2.0}
    optimised = partial(learned, "optimisation", loss=mse_loss)
    tuned = [partial(descent, step_size=step_size, steps=10, first_order=True) for step_size in STEP_SIZES]
    pooled = partial(pooled_loss, lambda params, x, y: mse_loss(mlp(params, x), y))

    return {
        "MAML": optimised(descent, params=theta, step_size=0.02, gradient_steps=1),
        "first-order MAML": optimised(partial(descent, first_order=True), params=theta, step_size=0.02, gradient_steps=1),
        "Meta-SGD": optimised(partial(meta_sgd, mlp, mse_loss), params=init_meta_sgd(theta, 0.01), step_size=0.01,
                              gradient_steps=1),
        "ANIL": optimised(partial(anil, hidden_layers, mlp, mse_loss, step_size=0.02, steps=5),
                          params={"body": theta[:-1], "head": theta[-1:]}, step_size=0.01, gradient_steps=5),
        "Reptile": Method("optimisation", partial(descent, step_size=0.02, steps=6, first_order=True), theta,
                          partial(reptile_loss, mlp, mse_loss, step_size=0.02, steps=6), 0.02, 6),
        "iMAML": Method("optimisation", partial(imaml, mlp, mse_loss, **proximal), theta,
                        partial(imaml_loss, mlp, mse_loss, **proximal, cg_steps=3), 0.005, 10),
        "attention": learned("metric", partial(matching, mlp), mse_loss, init_matching(embedding), 0.01),
        "hypernetwork": learned("model", partial(hypernetwork, mlp), mse_loss, init_hypernetwork(theta, rng=rng), 0.005),
        "pre-trained": Method("baseline", tuned[0], theta, pooled, 0.02, 10, choices=tuned),
        "oracle": Method("baseline", lambda params, support: partial(mlp, params), oracle, pooled, 0.02, sees=reveal),
    }


def hidden_layers(params, x):
    """A multilayer perceptron without its last layer."""
    for w, b in params:
        x = relu(x @ w + b)
    return x


# ---------------------------------------------------------------------------------------------------------- on images


def dense_net(params, x):
    """Images to features by layers that are standardised like those of :func:`~tinygrad_meta.nn.conv_net`: small and quick."""
    x = reshape(x, (*x.shape[:-2], -1))
    for w, b in params:
        x = relu(layer_norm(x @ w + b, axis=-1))
    return x


ENCODERS = {  # how parameters are drawn, the function, and how many features it has
    "dense": (partial(init_mlp, [28 * 28, 128, 64], initializer="he"), dense_net, 64),
    "convolutional": (partial(init_conv_net, [1, 32, 64, 64]), conv_net, 4 * 4 * 64),
}


# iMAML's inner loop, its steps of conjugate gradients, and Adam's step size.  The loss of the deeper network is more curved, so
# it takes more steps of both, and more strength: with fewer, the meta-gradient is so far off that training goes uphill.
PROXIMAL = {
    "dense": ({"step_size": 0.4, "steps": 8, "strength": 0.5}, 2, 0.004),
    "convolutional": ({"step_size": 0.4, "steps": 16, "strength": 2.0}, 5, 0.002),
}


def scaled(embed, params, x):
    """An embedding in units that are learned, too.  Standardised features all have one length, whatever makes good logits."""
    layers, scale = entries(params, "layers", "scale")
    return scale * embed(layers, x)


def init_scaled(layers, scale=0.1):
    return {"layers": layers, "scale": Tensor(scale, leaves(layers)[0].dtype, requires_grad=True)}


def image_methods(rng=None, ways=5, encoder="convolutional", dtype=np.float32):
    """All methods for classification, by name.  All have the same network as their encoder, from the same parameters."""
    rng, ways = generator(rng), whole("the number of classes", ways, least=1)
    if encoder not in list(ENCODERS):
        raise ValueError(f"there is no encoder called {encoder!r}: choose one of {', '.join(ENCODERS)}")
    draw, embed, features = ENCODERS[encoder]
    body = draw(rng=rng, dtype=dtype)
    head = [tuple(Tensor(np.zeros((rows, ways)), dtype, requires_grad=True) for rows in (features, 1))]
    theta = {"body": body, "head": head}

    def classifier(params, x):
        return mlp(params["head"], embed(params["body"], x))

    def by_pixels(distances):
        return lambda params, support: lambda x: one_hot(nearest_neighbour(*support, x, distances), ways)

    descent = partial(maml, classifier, cross_entropy)
    proximal, cg_steps, step_size = PROXIMAL[encoder]
    optimised = partial(learned, "optimisation", loss=cross_entropy, step_size=0.003)
    return {
        "MAML": optimised(partial(descent, step_size=1.0), params=theta, gradient_steps=1),
        "first-order MAML": optimised(partial(descent, step_size=0.4, steps=5, first_order=True), params=theta,
                                      gradient_steps=5),
        "Meta-SGD": optimised(partial(meta_sgd, classifier, cross_entropy), params=init_meta_sgd(theta, 0.1), gradient_steps=1),
        "ANIL": optimised(partial(anil, embed, mlp, cross_entropy, step_size=1.0), params=theta, gradient_steps=1),
        "Reptile": Method("optimisation", partial(descent, step_size=1.0, steps=3, first_order=True), theta,
                          partial(reptile_loss, classifier, cross_entropy, step_size=1.0, steps=3), 0.006, 3),
        "iMAML": Method("optimisation", partial(imaml, classifier, cross_entropy, **proximal), theta,
                        partial(imaml_loss, classifier, cross_entropy, **proximal, cg_steps=cg_steps), step_size,
                        proximal["steps"]),
        "matching": learned("metric", partial(matching, embed, ways=ways), cross_entropy, init_matching(body), 0.003),
        "prototypes": learned("metric", partial(prototypes, partial(scaled, embed), ways=ways), cross_entropy,
                              init_scaled(body), 0.003),
        "hypernetwork": learned("model", partial(head_hypernetwork, partial(scaled, embed), ways=ways), cross_entropy,
                                init_head_hypernetwork(init_scaled(body), features, rng=rng), 0.003),
        "nearest pixels": Method("baseline", by_pixels(euclidean)),
        "the same, centred": Method("baseline", by_pixels(lambda a, b: euclidean(centred(a), centred(b)))),
        "Hausdorff distance": Method("baseline", by_pixels(modified_hausdorff), test_tasks=100),
    }


# ------------------------------------------------------------------------------------------- training and meta-testing


class Problem(NamedTuple):
    """What all methods are compared on."""

    methods: dict  # by name
    sample: object  # function (tasks, rng) -> batch: draws tasks to train on
    test: object  # the batch of tasks to test on
    measure: object  # function (predictions, y) -> array: one number per task, the error where methods have choices
    tasks: int  # in a training step
    at_once: int  # for how many steps tasks are drawn together


class Score(NamedTuple):
    """What a method comes to: a row of the table."""

    family: str
    value: float  # the mean over test tasks of the problem's measure
    interval: float  # half the width of its 95 % confidence interval
    test_tasks: int
    training_seconds: float
    iterations: int
    milliseconds: float  # to read the support set of one new task and answer for its query set
    parameters: int
    gradient_steps: int  # that this takes


def sine_problem(test_tasks, shots=10, seed=0):
    """Regression on sine waves, by the protocol of the MAML paper: as many query points as shots, and 25 tasks to a step."""
    for_parameters, for_test = generator(seed).spawn(2)
    tasks = SineTasks(dtype=np.float32)
    return Problem(sine_methods(for_parameters), lambda n, rng: tasks.sample(n, shots, shots, rng),
                   tasks.sample(test_tasks, shots, shots, for_test), squared_error, tasks=25, at_once=50)


def squared_error(prediction, y):
    return mse_loss(prediction, y).numpy()


def image_problem(for_training, for_test, test_tasks, ways=5, shots=1, queries=5, encoder="convolutional", seed=0, vary=None):
    """Classification of images.

    Parameters
    ----------
    for_training, for_test : ImageTasks
        With different classes.
    queries : int
        Query images of each class.
    vary : function ``(images, rng) -> images``, optional
        Applied to all images that are trained on.
    """
    for name, tasks in {"for_training": for_training, "for_test": for_test}.items():
        if not isinstance(tasks, ImageTasks):
            raise TypeError(f"{name} must be ImageTasks, and is {kind(tasks)}")
    for_parameters, rng = generator(seed).spawn(2)

    def sample(n, rng):
        batch = for_training.sample(n, ways, shots, queries, rng)
        if vary is None:
            return batch
        return batch._replace(**{name: (vary(x, rng), y) for name, (x, y) in zip(("support", "query"), batch[:2], strict=True)})

    return Problem(image_methods(for_parameters, ways, encoder), sample, for_test.sample(test_tasks, ways, shots, queries, rng),
                   accuracy, tasks=4, at_once=4)


def compare(problem, seconds, iterations=None, seed=0, progress=lambda method, share, loss: None):
    """Train and test one method after the other, all on the same tasks.  Ctrl-C ends the training of all.

    Parameters
    ----------
    problem : Problem
    seconds : float
        How long to train each method.
    iterations : int, optional
        How many steps to train each method for, instead of a time.
    seed : int
        Of the training tasks.
    progress : function ``(method, share, loss)``
        Called after every training step, with the share of the method's training that is done.

    Yields
    ------
    name : str
    params : structure of tensors
        After training.
    score : Score
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"a problem is what sine_problem or image_problem returns, and this is {kind(problem)}")
    number("seconds", seconds, least=0)
    stopped = False
    for name, method in problem.methods.items():
        params, done, start = method.params, 0, time.perf_counter()
        batches = batches_of(problem.sample, problem.tasks, problem.at_once, np.random.default_rng([seed, 1]))
        try:
            if method.objective and not stopped:
                for params, loss in train_for(method, batches, seconds, iterations):
                    done += 1
                    progress(name, done / iterations if iterations else (time.perf_counter() - start) / seconds, loss)
        except KeyboardInterrupt:
            stopped = True
        except Diverged as error:
            warnings.warn(f"{name}: {error}. It is tested as it was before.", stacklevel=2)
        if done or not method.objective:
            training = time.perf_counter() - start if done else 0.0
            try:
                score = score_of(problem, method, params, training, done, seed)
            except KeyboardInterrupt:
                if stopped:
                    raise
                stopped = True  # which ends training, and does not throw away what this method has learnt
                score = score_of(problem, method, params, training, done, seed)
            yield name, params, score


def score_of(problem, method, params, training, done, seed):
    """Test a method that was trained for so many seconds and steps; if it has a choice, with what is best on other tasks."""
    if method.choices:
        aside = problem.sample(250, np.random.default_rng([seed, 2]))
        candidates = [method._replace(learner=learner) for learner in method.choices]
        method = min(candidates, key=lambda m: test(m, params, aside, problem.measure).mean())
    values = test(method, params, problem.test, problem.measure)
    interval = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return Score(method.family, float(values.mean()), float(interval), len(values), training, done,
                 milliseconds_to_adapt(method, params, problem.test), sum([p.size for p in leaves(params)]),
                 method.gradient_steps)


def train_for(method, batches, seconds, iterations=None, max_norm=10.0):
    """Train a method for a time, or for a number of iterations, with a warm-up and a cosine decay of Adam's step size.

    A generator like :func:`~tinygrad_meta.meta.train`.
    """
    start = time.perf_counter()

    def step_sizes():
        for i in count():
            done = (time.perf_counter() - start) / seconds if iterations is None else i / iterations
            if done >= 1:
                return
            yield cosine_decay(method.step_size, 1000 * done, 1000, warmup=100)

    return train(method.objective, method.params, map(method.sees, batches), step_sizes(), max_norm)


def batches_of(sample, tasks, at_once, rng):
    """Batches of tasks without end, drawn many at once: on little data a call costs more than its numbers."""
    while True:
        many = sample(tasks * at_once, rng)
        for start in range(0, tasks * at_once, tasks):
            yield part(many, start, start + tasks)


def test(method, params, batch, measure, at_once=25):
    """The measure of a method's predictions for each task's query set, (tasks,); ``inf`` where it diverged."""
    batch, values = part(method.sees(batch), 0, method.test_tasks), []
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(batch.query[1]), at_once):
            some = part(batch, start, start + at_once)
            values.append(measure(method.learner(params, some.support)(some.query[0]), some.query[1]))
    values = np.concatenate(values)
    return np.where(np.isfinite(values), values, np.inf)


def milliseconds_to_adapt(method, params, batch, repeats=20):
    """To read the support set of one new task and answer for its query set: the median."""
    task, times = part(method.sees(batch), 0, 1), []
    for _ in range(repeats):
        start = time.perf_counter()
        method.learner(params, task.support)(task.query[0])
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))
