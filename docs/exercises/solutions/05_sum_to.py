"""Solution 5: an entry that was repeated was used several times.

That is a fork, where contributions add up. Summing over the repeated
entries is therefore the gradient of repeating them.
"""


def sum_to(g, shape):
    added = g.ndim - len(shape)
    g = g.sum(axis=tuple(range(added)))
    repeated = tuple(
        i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return g.sum(axis=repeated, keepdims=True)
