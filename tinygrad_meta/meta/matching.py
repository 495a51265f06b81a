"""Metric-based meta-learning: learn what resembles what, and answer for a new task by comparing with its support points.

Nothing is adapted.  What has been learned is an embedding, ``embed(params, x) -> features`` of shape (..., points, features),
in which a query lies near the support points that have its answer.  The two learners differ in what they compare it with:

===================  ==============================  =======================================
                     a query is compared with        by
===================  ==============================  =======================================
:func:`matching`     every support point             the cosine of the angle between them
:func:`prototypes`   the mean of each class          the squared Euclidean distance
===================  ==============================  =======================================
"""

import numpy as np

from ..nn import one_hot
from ..ops import exp, expand_dims, log_softmax, logsumexp, matmul, norm, square, sum, where
from ..tensor import Tensor, as_tensor
from ..tree import dtype_of, entries
from ..validate import matching_pair, number


def init_matching(embedding, sharpness=10.0):
    """Parameters of :func:`matching`: those of the embedding, and the sharpness of its attention.

    >>> import tinygrad_meta as tg
    >>> init_matching(tg.nn.init_mlp([1, 64, 64], rng=0))["sharpness"]
    Tensor(10.0, dtype=float64, requires_grad=True)
    """
    return {"embed": embedding, "sharpness": Tensor(number("sharpness", sharpness), dtype_of(embedding), requires_grad=True)}


def matching(embed, params, support, ways=None):
    """Matching Networks (Vinyals et al. 2016, arXiv 1606.04080): attention over the support points, by resemblance.

    The prediction for a query is the mean of the support points' answers, weighted by a softmax over the cosines between its
    features and theirs.  Cosines lie between -1 and 1, where a softmax is nearly flat: of five points, none can have a weight
    above 0.65.  The paper leaves it at that; here the cosines are first multiplied by a number that is learned with the rest,
    the sharpness.  The paper's embeddings "in full context", which depend on the whole support set, are not part of this.

    Parameters
    ----------
    embed : function ``(params, x) -> features``
        Of shape (..., points, features).
    params : dict
        As :func:`init_matching` makes it.
    support : pair of arrays (x, y)
        Of one task, or of a batch with the task as first axis.  Either ``y`` holds labels, integers of shape (..., points), or
        numbers of shape (..., points, outputs).
    ways : int, optional
        How many classes there are.  To be left out where ``y`` holds numbers, and only there.

    Returns
    -------
    function ``x -> predictions``
        For labels, the logarithms of the class probabilities, (..., points, ways): they are logits, too.  For numbers, weighted
        means of the support set's, which therefore never leave its range, (..., points, outputs).

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> batch = tg.tasks.SineTasks().sample(n_tasks=25, n_support=10, n_query=5, rng=0)
    >>> params = init_matching(tg.nn.init_mlp([1, 64, 64], rng=0))
    >>> matching(tg.nn.mlp, params, batch.support)(batch.query[0]).shape
    (25, 5, 1)
    """
    x, y = matching_pair("support", support)
    embedding, sharpness = entries(params, "embed", "sharpness")
    points = embed(embedding, x)
    targets = values(y, points) if ways is None else memberships(y, ways, points)
    points = of_unit_length(points)

    def predict(x):
        cosines = matmul(of_unit_length(embed(embedding, x)), points.mT)
        attention = log_softmax(sharpness * cosines)  # (..., queries, support points)
        if ways is None:
            return matmul(exp(attention), targets)
        # Weights of a class are added up as logarithms: a class far away has a small probability, but none of exactly 0.
        by_class = where(expand_dims(targets, -3), expand_dims(attention, -1), -np.inf)
        return logsumexp(by_class, axis=-2)

    return predict


def prototypes(embed, params, support, ways):
    """Prototypical Networks (Snell, Swersky, Zemel 2017, arXiv 1703.05175): the nearest class mean, in a learned space.

    Parameters
    ----------
    embed : function ``(params, x) -> features``
        Of shape (..., points, features).
    params : structure of tensors
        Those of ``embed``.
    support : pair of arrays (x, labels)
        Of one task, or of a batch with the task as first axis; labels are integers of shape (..., points).
    ways : int
        How many classes there are.

    Returns
    -------
    function ``x -> logits`` of shape (..., points, ways)
        Minus the squared distances to the class means.

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> predict = prototypes(lambda params, x: tg.tensor(x), None, ([[0.0], [2.0], [5.0]], [0, 0, 1]), ways=2)
    >>> predict([[3.0]])                    # the means are 1 and 5
    Tensor([[-4. -4.]], dtype=float64)
    """
    x, labels = matching_pair("support", support)
    means = class_means(embed(params, x), labels, ways)
    return lambda x: -squared_distances(embed(params, x), means)


def class_means(points, labels, ways):
    """The mean of the points of each class: (..., points, features) to (..., ways, features)."""
    members = memberships(labels, ways, points)
    return matmul((members / sum(members, axis=-2, keepdims=True)).mT, points)


def squared_distances(x, y):
    """Between all points of two sets, (..., n, features) and (..., m, features), with one matrix product: (..., n, m)."""
    return sum(square(x), axis=-1, keepdims=True) - 2 * matmul(x, y.mT) + sum(square(y), axis=-1, keepdims=True).mT


def of_unit_length(x):
    """Vectors scaled to length 1; one of zeros has no direction, and stays as it is."""
    length = norm(x, axis=-1, keepdims=True)
    return x / where(length > 0, length, np.inf)


def memberships(labels, ways, points):
    """Which point belongs to which class, as ones and zeros of shape (..., points, ways)."""
    labels = as_tensor(labels)
    if labels.shape != points.shape[:-1]:
        raise ValueError(f"each support point has a label and a row of features, and got labels of shape {labels.shape} for "
                         f"features of shape {points.shape}")
    members = one_hot(labels, ways, points.dtype)
    if not members._data.any(axis=-2).all():
        raise ValueError(f"every class needs a support point: some of the labels 0 to {ways - 1} do not occur")
    return members


def values(y, points):
    """The support set's answers where they are numbers, of shape (..., points, outputs)."""
    y = as_tensor(y)
    if y.dtype.kind != "f":
        raise ValueError(f"the support set's answers are of dtype {y.dtype}: for labels, say how many classes there are "
                         "(ways=...); for numbers to be predicted, make them floating-point")
    if y.shape[:-1] != points.shape[:-1]:
        raise ValueError(f"each support point has a row of numbers and a row of features, and got numbers of shape {y.shape} "
                         f"for features of shape {points.shape}")
    return y
