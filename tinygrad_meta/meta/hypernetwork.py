"""Model-based meta-learning: a network reads the support set and writes the parameters of the network for the task.

A network whose output is the weights of another one is a hypernetwork (Ha, Dai, Le 2017, arXiv 1609.09106).  What it reads
here is a set, and the order of its points must not matter: each pair (x, y) is embedded by itself and the results are
averaged, as in conditional neural processes (Garnelo et al. 2018, arXiv 1807.01613).  To learn a new task is then one forward
pass: nothing is optimised, and nothing differentiated.

:func:`hypernetwork` is for regression and writes all parameters of a model.  :func:`head_hypernetwork` is for classification
and writes the last layer, on top of an embedding that all tasks share.
"""

from functools import partial

import numpy as np

from ..nn import init_mlp, mlp
from ..ops import concat, expand_dims, matmul, mean, reshape
from ..tensor import Tensor, as_tensor
from ..tree import dtype_of, entries, tree_map
from ..validate import generator, matching_pair, whole
from .maml import check_axes
from .matching import class_means


def init_hypernetwork(base, pair_size=2, width=64, code_size=16, rng=None):
    """Parameters of :func:`hypernetwork`.

    Parameters
    ----------
    base : structure of tensors
        Parameters of the model that tasks are learned with, such as :func:`~tinygrad_meta.nn.init_mlp` makes them.  At first,
        every task's own are close to them.
    pair_size : int
        How many numbers a support point has: features of x plus outputs in y.
    width : int
        Of the hidden layers that read.
    code_size : int
        How many numbers the support set is summarised by.
    rng : numpy Generator, seed or None

    Returns
    -------
    dict
        ``read``, for the pairs, and ``summarize``, for their mean, are multilayer perceptrons; ``base`` and ``directions`` are
        built like the model's parameters, the latter with an additional first axis of length ``code_size``.
    """
    rng, dtype = generator(rng), dtype_of(base)
    whole("code_size", code_size, least=1)

    def directions(p):
        return Tensor(rng.normal(0, 0.1 / np.sqrt(code_size), (code_size, *p.shape)), dtype, requires_grad=True)

    return {
        "read": init_mlp([pair_size, width, width, width], rng, dtype=dtype),
        "summarize": init_mlp([width, width, code_size], rng, dtype=dtype),
        "base": base,
        "directions": tree_map(directions, base),
    }


def hypernetwork(model, params, support):
    """A network that reads the support set and writes the task's parameters: base + the sum of code[i] * directions[i].

    The code is what has been read, a few numbers.  Base and directions are learned and shared by all tasks; seen as part of a
    network, they are the bias and the weights of its last layer, whose output has the shapes of the model's parameters.

    Parameters
    ----------
    model : function ``(params, x) -> predictions``
        With parameters that may have the task as an additional first axis, as :func:`~tinygrad_meta.nn.mlp` takes them.
    params : dict
        As :func:`init_hypernetwork` makes it.
    support : pair of arrays (x, y)
        Of shapes (points, features) and (points, outputs) for one task; with the task as first axis for a batch.

    Returns
    -------
    function ``x -> predictions``

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> batch = tg.tasks.SineTasks().sample(n_tasks=25, n_support=10, n_query=5, rng=0)
    >>> params = init_hypernetwork(tg.nn.init_mlp([1, 40, 40, 1], rng=0), rng=1)
    >>> hypernetwork(tg.nn.mlp, params, batch.support)(batch.query[0]).shape
    (25, 5, 1)
    """
    read, summarize, base, directions = entries(params, "read", "summarize", "base", "directions")
    pairs = mlp(read, joined(*matching_pair("support", support), size=read[0][0].shape[0]))
    code = mlp(summarize, mean(pairs, axis=-2, keepdims=True))  # (..., 1, code_size)
    written = tree_map(partial(moved, code), base, directions)
    check_axes(model, written, support[:1], code.shape[:-2])
    return partial(model, written)


def joined(x, y, size):
    """The points of a support set as rows of x and y, side by side."""
    x, y = as_tensor(x), as_tensor(y)
    if x.shape[:-1] != y.shape[:-1] or x.shape[-1] + y.shape[-1] != size:
        raise ValueError(f"this hypernetwork reads pairs (x, y) of {size} numbers in all, of shapes (..., points, features) "
                         f"and (..., points, outputs), and got {x.shape} and {y.shape}")
    return concat([x, y], axis=-1)


def moved(code, base, directions):
    """One of the task's parameters, of shape (..., *base.shape)."""
    step = matmul(code, reshape(directions, (code.shape[-1], base.size)))
    return base + reshape(step, (*code.shape[:-2], *base.shape))


def init_head_hypernetwork(embedding, features, width=64, rng=None):
    """Parameters of :func:`head_hypernetwork`.

    Parameters
    ----------
    embedding : structure of tensors
        Parameters of the embedding.
    features : int
        How many features it has.
    width : int
        Of the hidden layer of the network that writes.
    rng : numpy Generator, seed or None
    """
    sizes = [whole("features", features, least=1), width, features + 1]
    return {"embed": embedding, "write": init_mlp(sizes, rng, dtype=dtype_of(embedding))}


def head_hypernetwork(embed, params, support, ways):
    """A network that reads a labelled support set and writes a linear classifier for the features of the queries.

    What is averaged over the support set is the product of each point's features with its one-hot label.  That leaves one row
    for each class, the mean of its points, and one network turns every row into the weights and the bias of that class, so that
    to exchange two classes is to exchange their outputs.  It writes the weights as a difference from the mean.

    Prototypical Networks need no network for that: up to a number that all classes of a query x share, minus the squared
    distance to a mean c is 2 c x - c c, so their weights are 2 c and the bias is -c c.

    Parameters
    ----------
    embed : function ``(params, x) -> features``
        Of shape (..., points, features).
    params : dict
        As :func:`init_head_hypernetwork` makes it.
    support : pair of arrays (x, labels)
        Of one task, or of a batch with the task as first axis; labels are integers of shape (..., points).
    ways : int
        How many classes there are.

    Returns
    -------
    function ``x -> logits`` of shape (..., points, ways)

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> x, labels = np.random.default_rng(0).normal(size=(10, 8)), np.arange(10) % 5
    >>> params = init_head_hypernetwork(tg.nn.init_mlp([8, 16], rng=0), features=16, rng=1)
    >>> head_hypernetwork(tg.nn.mlp, params, (x, labels), ways=5)(x[:3]).shape
    (3, 5)
    """
    x, labels = matching_pair("support", support)
    embedding, write = entries(params, "embed", "write")
    means = class_means(embed(embedding, x), labels, ways)
    written = mlp(write, means)  # (..., ways, features + 1)
    weight, bias = means + written[..., :-1], written[..., -1]
    return lambda x: matmul(embed(embedding, x), weight.mT) + expand_dims(bias, -2)
