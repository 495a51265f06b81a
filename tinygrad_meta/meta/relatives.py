"""The relatives of MAML, each of which changes one thing about it.

    ===========  ==========================================  =========================================================
    relative     what it changes                             paper
    ===========  ==========================================  =========================================================
    Meta-SGD     step sizes are learned, one for each entry  Li, Zhou, Chen, Li 2017 (arXiv 1707.03141)
    ANIL         only the last part of the model adapts      Raghu, Raghu, Bengio, Vinyals 2020 (arXiv 1909.09157)
    Reptile      no derivative of the inner loop at all      Nichol, Achiam, Schulman 2018 (arXiv 1803.02999)
    iMAML        a derivative that depends on where the      Rajeswaran, Finn, Kakade, Levine 2019 (arXiv 1909.04630)
                 inner loop ends, not on the way there
    ===========  ==========================================  =========================================================

The first two are learners, ``learner(params, support) -> predict``, and minimise :func:`~tinygrad_meta.meta.maml.query_loss`.
The last two have meta-gradients of their own, and so objectives of their own, ``objective(params, batch) -> loss``.
"""

from itertools import accumulate, cycle, islice, pairwise

import numpy as np

from .. import func
from ..autodiff import grad, no_grad
from ..ops import concat, expand_dims, mean, quotient, reshape, square, sum, where
from ..tensor import Tensor, as_tensor
from ..tree import check_alike, entries, leaves, rebuild, tree_map
from ..validate import matching_pair, number, pair, single, whole
from .maml import check_axes, check_shape, copies, descend, leaf, losses_of, maml, tasks_of

# --------------------------------------------------------------------------------------------------------- Meta-SGD


def init_meta_sgd(theta, step_size):
    """Parameters for :func:`meta_sgd`: where to start, and a step size for every entry, all ``step_size`` at first.

    >>> import tinygrad_meta as tg
    >>> init_meta_sgd([tg.tensor([1.0, 2.0])], step_size=0.01)["step_size"]
    [Tensor([0.01 0.01], dtype=float64, requires_grad=True)]
    """
    number("step_size", step_size)
    params = tree_map(as_tensor, theta)
    step_sizes = tree_map(lambda p: Tensor(np.full(p.shape, step_size), p.dtype, requires_grad=True), params)
    return {"theta": theta, "step_size": step_sizes}


def meta_sgd(model, loss, params, support, steps=1):
    """Meta-SGD (Li, Zhou, Chen, Li 2017): MAML whose step sizes are learned, one for every entry of the parameters.

    Where MAML learns only where to start, this also learns how fast each entry moves, and in which direction: a step size may
    become 0 or negative.  The step sizes fit the number of steps that they were trained with, and further steps may diverge.

    Parameters
    ----------
    model, loss, support, steps
        As for :func:`~tinygrad_meta.meta.maml.maml`.
    params : dict with the keys ``"theta"`` and ``"step_size"``
        Two structures built alike; :func:`init_meta_sgd` makes them.

    Returns
    -------
    function ``x -> predictions``

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> line, support = (lambda slope, x: slope * x), ([[1.0], [2.0]], [[3.0], [6.0]])
    >>> predict = meta_sgd(line, tg.nn.mse_loss, init_meta_sgd(tg.tensor([[0.0]]), step_size=0.2), support)
    >>> predict([[10.0]]).item()
    30.0
    """
    theta, step_sizes = entries(params, "theta", "step_size")
    check_alike(theta, step_sizes)
    for p, a in zip(leaves(theta), leaves(step_sizes), strict=True):
        p, a = as_tensor(p), as_tensor(a)
        if a.shape != p.shape:
            raise ValueError(f"Meta-SGD has a step size for every entry, and got step sizes of shape {a.shape} for parameters "
                             f"of shape {p.shape}: make them with init_meta_sgd")
    return maml(model, loss, theta, support, step_sizes, steps)


# ------------------------------------------------------------------------------------------------------------- ANIL


def anil(body, head, loss, params, support, step_size, steps=1, first_order=False):
    """Almost no inner loop (Raghu et al. 2020): MAML for the last part of a model, its head.

    The body turns inputs into features that are the same for all tasks, and only the head adapts.  The paper found that MAML's
    inner loop hardly changes the features of images.  It is cheaper, too: the body reads the support set once for all steps.

    Parameters
    ----------
    body : function ``(params, x) -> features``
    head : function ``(params, features) -> predictions``
    params : dict with the keys ``"body"`` and ``"head"``
    loss, support, step_size, steps, first_order
        As for :func:`~tinygrad_meta.meta.maml.maml`.

    Returns
    -------
    function ``x -> predictions``

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> body, head = (lambda params, x: tg.relu(tg.nn.mlp(params, x))), tg.nn.mlp
    >>> *first_layers, last_layer = tg.nn.init_mlp([1, 40, 40, 1], rng=0)
    >>> support, query = tg.tasks.SineTasks().sample(n_tasks=25, n_support=10, n_query=10, rng=0)[:2]
    >>> predict = anil(body, head, tg.nn.mse_loss, {"body": first_layers, "head": [last_layer]}, support, step_size=0.01)
    >>> predict(query[0]).shape
    (25, 10, 1)
    """
    body_params, head_params = entries(params, "body", "head")
    x, y = matching_pair("support", support)
    learner = maml(head, loss, head_params, (body(body_params, x), y), step_size, steps, first_order)
    return lambda x: learner(body(body_params, x))


# ---------------------------------------------------------------------------------------------------------- Reptile


def reptile_loss(model, loss, params, batch, step_size, steps):
    """Reptile (Nichol, Achiam, Schulman 2018): move the parameters towards where gradient descent takes them.

    Half the squared distance between the parameters and each task's adapted ones, averaged over the tasks (the paper's section
    5.2).  The adapted ones count as constants, so the gradient is the parameters minus the mean of the adapted parameters, and
    nothing is differentiated but the inner loop's own losses.  Where the paper takes a step of fixed size, ``train`` gives that
    gradient to Adam, as the paper also suggests.

    There is no query set: the inner loop trains on both sets, as minibatches that take turns.  What is learnt about adaptation
    comes from steps on different points; with one inner step, this is pre-training.

    The value says how far the inner loop goes, not how good the predictions are.  At meta-test time the learner is
    :func:`~tinygrad_meta.meta.maml.maml`, for which ``first_order=True`` is enough.

    Parameters
    ----------
    model, loss
        As for :func:`~tinygrad_meta.meta.maml.maml`.
    params : structure of tensors
    batch : object with ``support`` and ``query``, each a pair of arrays (x, y) with the task as the first axis
    step_size, steps
        Of the inner loop.

    Returns
    -------
    Tensor
        A scalar.

    Examples
    --------
    Two tasks, with minima at 1 and at 3, and a step that goes half the way there:

    >>> import tinygrad_meta as tg
    >>> y = np.array([[[1.0]], [[3.0]]])
    >>> batch = tg.tasks.sine.TaskBatch(support=(y, y), query=(y, y), amplitude=None, phase=None)
    >>> theta = tg.tensor([[0.0]], requires_grad=True)
    >>> tg.grad(reptile_loss(lambda theta, x: theta, tg.nn.mse_loss, theta, batch, step_size=0.25, steps=1), theta)
    (Tensor([[-1.]], dtype=float64),)
    """
    tasks, loss_fn = tasks_of(batch), loss_of(model, loss)
    adapted = copies(constants(params), tasks)
    for points in islice(cycle([batch.support, batch.query]), whole("steps", steps, least=1)):
        adapted = constants(descend(loss_fn, adapted, points, step_size, 1, first_order=True, tasks=tasks))
    return 0.5 * mean(sum(square(as_rows(params) - as_rows(adapted, tasks)), axis=-1))


# ------------------------------------------------------------------------------------------------------------ iMAML


def imaml(model, loss, params, support, step_size, steps, strength):
    """The learner of iMAML: go downhill on the support set, but not far from ``params``; see :func:`imaml_loss`.

    Its predictions count as constants: train with :func:`imaml_loss`, not with ``query_loss``.

    Parameters
    ----------
    model, loss, params, support
        As for :func:`~tinygrad_meta.meta.maml.maml`.
    step_size, steps, strength
        As for :func:`imaml_loss`.

    Returns
    -------
    function ``x -> predictions``

    Examples
    --------
    Halfway between 0, where it starts, and 4, where the loss has its minimum:

    >>> import tinygrad_meta as tg
    >>> constant, support = (lambda theta, x: theta), (None, [[4.0]])
    >>> predict = imaml(constant, tg.nn.mse_loss, tg.tensor([[0.0]]), support, step_size=0.1, steps=100, strength=2.0)
    >>> round(predict(None).item(), 6)
    2.0
    """
    theta, loss_fn = constants(params), loss_of(model, loss)
    with no_grad():
        tasks = losses_of(loss_fn(theta, *pair("support", support))).shape
    phi = from_rows(minimum(loss_fn, theta, support, step_size, steps, strength, tasks), theta)
    return lambda x: model(phi, x)


def imaml_loss(model, loss, params, batch, step_size, steps, strength, cg_steps=5):
    """Implicit MAML (Rajeswaran, Finn, Kakade, Levine 2019): a meta-gradient from where the inner loop ends.

    The inner loop looks for the minimum phi of ``support loss + strength / 2 * |phi - theta|^2``, whose second part holds it
    near theta.  There the gradient by phi is 0, for every theta; differentiated by theta, that says how phi moves with it, by
    the matrix (I + H / strength)^-1, where H is the Hessian of the support loss at phi.  So the meta-gradient of a task is the
    solution v of (I + H / strength) v = g, where g is the gradient of the query loss at phi.  The way to phi does not enter: it
    is not kept, and memory does not grow with ``steps`` as it does for MAML.

    The inner loop is gradient descent that takes back a step that raises a task's loss, and halves the task's step size from
    there on.  MAML's gradient keeps away from parameters at which its inner loop would diverge; this one does not know of the
    inner loop, and without that precaution training ends there sooner or later.  The solution v is approximated by conjugate
    gradients, from products of H with vectors.  The meta-gradient is exact once both loops have converged.

    Parameters
    ----------
    model, loss
        As for :func:`~tinygrad_meta.meta.maml.maml`.
    params : structure of tensors
    batch : object with ``support`` and ``query``, each a pair of arrays (x, y) with the task as the first axis
    step_size, steps
        Of the inner loop.
    strength : float
        The paper's lambda.  Where the support loss is not convex, it must exceed the most negative curvature for phi to be a
        function of theta.
    cg_steps : int
        Of conjugate gradients, at one Hessian-vector product each.

    Returns
    -------
    Tensor
        A scalar: the query loss at phi, averaged over the tasks, with the implicit gradient as its gradient.

    Examples
    --------
    The support set pulls theta towards 4, and gets it half the way there, to 2.  The query set asks for 0, so the slope of the
    query loss is 4; as phi moves half as fast as theta does, the meta-gradient is 2.

    >>> import tinygrad_meta as tg
    >>> support, query = (np.zeros((1, 1, 1)), np.array([[[4.0]]])), (np.zeros((1, 1, 1)), np.zeros((1, 1, 1)))
    >>> batch = tg.tasks.sine.TaskBatch(support, query, amplitude=None, phase=None)
    >>> theta = tg.tensor([[0.0]], requires_grad=True)
    >>> loss = imaml_loss(lambda theta, x: theta, tg.nn.mse_loss, theta, batch, step_size=0.25, steps=1, strength=2.0)
    >>> loss.item(), tg.grad(loss, theta)[0].item()
    (4.0, 2.0)
    """
    tasks, loss_fn, theta = tasks_of(batch), loss_of(model, loss), constants(params)
    phi = from_rows(minimum(loss_fn, theta, batch.support, step_size, steps, strength, tasks), theta)
    value, gradient = func.value_and_grad(lambda phi: mean(check_shape(loss_fn(phi, *batch.query), tasks)))(phi)
    _, times_hessian = func.vjp(func.grad(lambda phi: sum(loss_fn(phi, *batch.support))), phi)

    def multiply(rows):
        (product,) = times_hessian(from_rows(rows, theta))
        return rows + as_rows(product, tasks) / single(strength)

    meta_gradient = conjugate_gradients(multiply, as_rows(gradient, tasks), cg_steps)
    return value + sum(meta_gradient * (as_rows(params) - as_rows(theta)))  # adds 0, whose gradient is the meta-gradient


def minimum(loss_fn, theta, support, step_size, steps, strength, tasks):
    """Where gradient descent on loss + strength / 2 * |phi - theta|^2 arrives: a constant, with one row per task.

    A step that raises a task's loss is taken back, and its step size halved.
    """

    def look(rows):
        phi = tree_map(leaf, from_rows(rows, theta))
        losses = check_shape(loss_fn(phi, *support), tasks)
        gradient = as_rows(grad(sum(losses), leaves(phi)), tasks)
        away = rows - start
        return rows, expand_dims(losses.detach(), -1) + 0.5 * strength * dot(away, away), gradient + strength * away

    step_size, strength = number("step_size", step_size, least=0), number("strength", strength)
    if strength <= 0:
        raise ValueError(f"the strength of iMAML's regularisation must be positive, and is {strength}")
    own = copies(theta, tasks)
    check_axes(loss_fn, own, support, tasks)
    start = as_rows(own, tasks)
    here = look(start)
    size = step_size + 0 * here[1]
    for _ in range(whole("steps", steps)):
        rows, value, gradient = here
        there = look(rows - size * gradient)
        kept = there[1] <= value
        here = [where(kept, new, old) for new, old in zip(there, here, strict=True)]
        size = where(kept, size, 0.5 * size)
    return here[0]


def conjugate_gradients(multiply, b, steps):
    """Solve A x = b for one or more symmetric positive definite matrices A at once (Hestenes, Stiefel 1952).

    Each step takes one product with A, and n steps solve n equations but for rounding.  Where a direction d turns out not to
    have positive curvature, d A d > 0, either A is not positive definite or there is nothing left to solve, and what has been
    found so far is kept.

    Parameters
    ----------
    multiply : function ``x -> A x``
    b : Tensor of shape (..., n)
        The axes before the last count systems of equations, each with its own steps.
    steps : int

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> conjugate_gradients(lambda x: x * np.array([1.0, 4.0]), tg.tensor([3.0, 8.0]), steps=2)
    Tensor([3. 2.], dtype=float64)
    """
    x, residual, direction = 0 * b, b, b
    left = dot(residual, residual)
    for _ in range(whole("the number of steps of conjugate gradients", steps)):
        image = multiply(direction)
        curvature = dot(direction, image)
        usable = curvature > 0
        length = where(usable, left, 0) / where(usable, curvature, 1)
        x, residual = x + length * direction, residual - length * image
        before, left = left, dot(residual, residual)
        direction = where(usable, residual + quotient(left, before) * direction, 0)
    return x


def dot(x, y):
    return sum(x * y, axis=-1, keepdims=True)


# ---------------------------------------------------------------------------------------------------------- helpers


def loss_of(model, loss):
    return lambda params, x, y: loss(model(params, x), y)


def constants(params):
    return tree_map(lambda p: as_tensor(p).detach(), params)


def as_rows(params, tasks=()):
    """The parameters of every task as one row, or those of a single task as a vector."""
    return concat([reshape(p, (*tasks, -1)) for p in leaves(params)], axis=-1)


def from_rows(rows, like):
    """The opposite; ``like`` is the structure and has the shapes of a single task."""
    ends = accumulate([p.size for p in leaves(like)], initial=0)
    parts = [rows[..., start:end] for start, end in pairwise(ends)]
    return rebuild(like, [reshape(part, (*rows.shape[:-1], *p.shape)) for part, p in zip(parts, leaves(like), strict=True)])
