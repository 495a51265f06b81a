"""Model-agnostic meta-learning: Algorithm 1 of Finn, Abbeel, Levine 2017 (arXiv 1703.03400).

MAML looks for parameters theta from which one step of gradient descent, on the few points of a new task's support set,
leads to good predictions on its query set.  The loss after that step is a function of theta.  Its gradient goes through the
step, so through a gradient, and that is where second derivatives come in.

The algorithm, with alpha the ``step_size`` of the inner loop and beta that of the outer one:

    1  randomly initialise theta
    2  while not done:
    3      sample a batch of tasks T_i
    4      for all T_i:
    5          evaluate the gradient of the loss of T_i at theta, on its K support points
    6          adapt: theta_i' = theta - alpha * gradient
    7      end for
    8      theta = theta - beta * gradient of the sum of the losses at theta_i', on the query points
    9  end while

:func:`adapt` is lines 5 and 6, :func:`maml_loss` lines 4 to 7 and the loss of line 8, ``train.py`` the rest, with
Adam for line 8.
"""

import numpy as np

from ..autodiff import grad, no_grad
from ..ops import broadcast_to, identity, mean, stack, sum
from ..tensor import Tensor, as_tensor
from ..tree import check_alike, leaves, rebuild, tree_map
from ..validate import function, kind, matching_pair, number, pair, single, whole


def adapt(loss_fn, params, support, step_size, steps=1, first_order=False):
    """Adapt parameters to a task, or to every task of a batch, by gradient descent on its support set.

    The result is a differentiable function of those ``params`` that require a gradient.

    Parameters
    ----------
    loss_fn : function ``(params, x, y) -> loss``
        One loss per task: the mean over points and outputs, the last two axes.
    params : structure of tensors
        For a batch of tasks, every task starts from a copy of its own, along a new first axis.  So what meets points and
        outputs needs an axis for both: a bias is a row, (1, outputs), and a single number has shape (1, 1).
    support : pair of arrays (x, y)
        Of shape (points, features) for one task, (tasks, points, features) for a batch.
    step_size : float, or structure of tensors
        The paper's alpha; or one alpha for every entry of ``params``, in a structure built like it.
    steps : int
        How many steps to take, all on the same support set.
    first_order : bool
        Treat the inner gradients as constants.  Cheaper, but the meta-gradient is then not the derivative of the query loss.

    Returns
    -------
    structure of tensors
        Like ``params``; for a batch of tasks, with the task as an additional first axis.

    Examples
    --------
    One step downhill on (theta - 3)^2 from 0:

    >>> import tinygrad_meta as tg
    >>> loss = lambda theta, x, y: tg.mean((theta - y) ** 2, axis=(-2, -1))
    >>> theta = tg.tensor(0.0, requires_grad=True)
    >>> tg.meta.adapt(loss, theta, (None, [[3.0]]), step_size=0.25)
    Tensor(1.5, dtype=float64, op=add)
    """
    function("loss_fn", loss_fn)
    with no_grad():
        tasks = losses_of(loss_fn(params, *pair("support", support))).shape  # () for one task, (tasks,) for a batch
    return descend(loss_fn, copies(params, tasks), support, step_size, steps, first_order, tasks)


def copies(params, tasks):
    """The same parameters for every task, as separate entries along new first axes of shape ``tasks``."""
    return tree_map(lambda p: broadcast_to(p, shape=(*tasks, *as_tensor(p).shape)), params)


def descend(loss_fn, params, support, step_size, steps, first_order, tasks):
    """Gradient descent from parameters that are per task already."""
    check_axes(loss_fn, params, support, tasks)
    theta = leaves(params)
    alpha, alphas = common_and_own(step_size, params, theta)
    for _ in range(whole("steps", steps)):
        theta = [p if p.requires_grad else leaf(p) for p in theta]
        losses = check_shape(loss_fn(rebuild(params, theta), *support), tasks)
        # Tasks share no parameters, so the gradient of the sum of their losses holds each task's own gradient.  And -alpha times
        # it is the gradient of -alpha times the losses: one product in place of one for each parameter.
        moves = grad(-alpha * sum(losses), theta, create_graph=not first_order)  # line 5, times -alpha
        if alphas:
            moves = [own * move for own, move in zip(alphas, moves, strict=True)]
        theta = [p + move for p, move in zip(theta, moves, strict=True)]         # line 6
    return rebuild(params, theta)


def check_axes(f, params, support, tasks):
    """A number or a vector may meet points or outputs with the axis of tasks that its copies have, and tasks see others'."""
    if tasks and any([p.ndim < 3 for p in leaves(params)]):
        varied = tree_map(lambda p: (p._data.T + np.linspace(0, 1, len(p))).T, params)  # so that the tasks differ
        with no_grad():
            try:
                last = [part if part is None else part[-1] for part in support]
                alone = f(tree_map(lambda p: Tensor(p[-1]), varied), *last)
            except (TypeError, ValueError, IndexError):
                return  # a function that is for batches only
            together = f(tree_map(Tensor, varied), *support)
        if not np.allclose(together._data[-1], alone._data, rtol=1e-3, equal_nan=True):
            raise ValueError("a task's result depends on the parameters of others: each has a copy of its own, along a first "
                             f"axis, which met another one; the shapes are {[p.shape for p in leaves(params)]}. Make a "
                             "bias a row, (1, outputs), and a number (1, 1)")


def common_and_own(step_size, params, theta):
    """One step size for all, or 1 and a list: what each of ``theta``, the leaves of ``params``, multiplies it with."""
    if isinstance(step_size, (dict, list, tuple)):
        check_alike(params, step_size)
        own = leaves(step_size)
    elif isinstance(step_size, (Tensor, np.ndarray)) or any([p.dtype == np.float16 for p in theta]):
        own = [step_size] * len(theta)  # in half precision, alpha / n may be too small a number
    else:
        return number("step_size", step_size, least=0), None
    return 1, [checked_step_size(alpha, p.shape) for alpha, p in zip(own, theta, strict=True)]


def checked_step_size(alpha, shape):
    alpha = single(alpha)
    if not isinstance(alpha, (Tensor, np.ndarray)):
        return number("step_size", alpha, least=0)
    if alpha.ndim > len(shape) or any([n not in (1, m) for n, m in zip(alpha.shape[::-1], shape[::-1], strict=False)]):
        raise ValueError(f"step_size has an entry of shape {alpha.shape} for parameters of shape {shape}: give one number for "
                         "all, or a structure built like the parameters with a number or an array of their shape for each")
    return alpha


def losses_of(returned):
    if not isinstance(returned, Tensor):
        raise TypeError(f"a loss function must return a tensor, one loss per task, and this one's result is {kind(returned)}")
    return returned


def check_shape(losses, tasks):
    losses = losses_of(losses)
    if losses.shape != tasks:
        raise ValueError(f"a loss function must return one loss per task, of shape {tasks}, and returned shape {losses.shape}: "
                         "take the mean over points and outputs, axes (-2, -1), and not over tasks")
    return losses


def tasks_of(batch):
    """How many tasks a batch has, as the shape (tasks,)."""
    if not hasattr(batch, "support") or not hasattr(batch, "query"):
        raise TypeError("a batch of tasks must have a support and a query, each a pair of arrays (x, y), and this is "
                        f"{kind(batch)}")
    pairs = matching_pair("support", batch.support), matching_pair("query", batch.query)
    support, query = (y.shape if hasattr(y, "shape") else np.shape(y) for _, y in pairs)
    if support[:1] != query[:1] or not support or 0 in support + query:
        raise ValueError("support and query must have the same tasks, as their first axis, and at least one point each, and "
                         f"the shapes of their y are {support} and {query}")
    return support[:1]


def leaf(p):
    """The same value, to differentiate by, although the caller wants no gradient."""
    p = identity(p)
    p.requires_grad = True
    return p


def maml_loss(loss_fn, params, batch, step_size, steps=1, first_order=False):
    """The loss that MAML minimises: the query loss after adapting to the support set, averaged over the tasks.

    All tasks are computed at once.  Its gradient by the leaves of ``params`` goes through the inner steps: it is that of line
    8, divided by the number of tasks.

    Parameters
    ----------
    batch : object with ``support`` and ``query``, each a pair of arrays (x, y) with the task as the first axis
    loss_fn, params, step_size, steps, first_order
        As for :func:`adapt`.

    Returns
    -------
    Tensor
        A scalar.
    """
    function("loss_fn", loss_fn)
    tasks = tasks_of(batch)
    adapted = descend(loss_fn, copies(params, tasks), batch.support, step_size, steps, first_order, tasks)  # lines 4 to 7
    return mean(check_shape(loss_fn(adapted, *batch.query), tasks))                                         # of line 8


def maml_loss_task_by_task(loss_fn, params, batch, step_size, steps=1, first_order=False):
    """The same loss, written as Algorithm 1 is: one task after the other.  Slower, and easier to read."""
    tasks_of(batch)
    losses = []
    for x, y, query_x, query_y in zip(*batch.support, *batch.query, strict=True):  # line 4
        adapted = adapt(loss_fn, params, (x, y), step_size, steps, first_order)    # lines 5 and 6
        losses.append(loss_fn(adapted, query_x, query_y))
    return mean(stack(losses))                                                     # the loss of line 8


def maml(model, loss, params, support, step_size, steps=1, first_order=False):
    """MAML as a *learner*: it reads a support set and returns a function from inputs to predictions.

    Everything in this package that learns from few points has this form once its leading arguments are filled in:
    ``learner(params, support) -> predict``.  What MAML returns is the model at parameters adapted by gradient descent.

    Parameters
    ----------
    model : function ``(params, x) -> predictions``
    loss : function ``(predictions, y) -> loss``
        One loss per task, such as :func:`~tinygrad_meta.nn.mse_loss` or :func:`~tinygrad_meta.nn.cross_entropy`.
    params, support, step_size, steps, first_order
        As for :func:`adapt`.

    Returns
    -------
    function ``x -> predictions``

    Examples
    --------
    The slope of a line through the origin, from two points:

    >>> import tinygrad_meta as tg
    >>> line = lambda slope, x: slope * x
    >>> predict = maml(line, tg.nn.mse_loss, tg.tensor([[0.0]]), ([[1.0], [2.0]], [[3.0], [6.0]]), step_size=0.2)
    >>> round(predict([[10.0]]).item(), 6)
    30.0
    """
    function("model", model)
    function("loss", loss)
    adapted = adapt(lambda params, x, y: loss(model(params, x), y), params, support, step_size, steps, first_order)
    return lambda x: model(adapted, x)


def query_loss(learner, loss, params, batch):
    """The loss that learners of every kind minimise: that of their predictions for the query set, averaged over the tasks.

    With :func:`maml` as the learner it is :func:`maml_loss`.

    Parameters
    ----------
    learner : function ``(params, support) -> predict``
        Where ``predict(x)`` gives predictions; see :func:`maml`.
    loss : function ``(predictions, y) -> loss``
        One loss per task.
    params : structure of tensors
    batch : object with ``support`` and ``query``, each a pair of arrays (x, y) with the task as the first axis

    Returns
    -------
    Tensor
        A scalar.

    Examples
    --------
    >>> from functools import partial
    >>> import tinygrad_meta as tg
    >>> learner = partial(maml, tg.nn.mlp, tg.nn.mse_loss, step_size=0.01)
    >>> batch = tg.tasks.SineTasks().sample(n_tasks=25, n_support=10, n_query=10, rng=0)
    >>> query_loss(learner, tg.nn.mse_loss, tg.nn.init_mlp([1, 40, 40, 1], rng=0), batch).shape
    ()
    """
    tasks, (x, y) = tasks_of(batch), batch.query
    predict = function("what a learner returns", function("learner", learner)(params, batch.support))
    return mean(check_shape(loss(predict(x), y), tasks))
