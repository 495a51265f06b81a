"""Solution 6: two transposes and a sum.

An entry of y is a sum of products of a row of x and a column of
weight, so each receives g times the other, which is a matrix product
with the other transposed. The bias was used once for every point.
"""


def layer_gradients(g, x, weight, bias):
    return g @ weight.T, x.T @ g, g.sum(axis=0, keepdims=True)
