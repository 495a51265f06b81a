"""Exercise 6: the backward pass of a layer.

A layer computes y = x @ weight + bias, for arrays

    x (points, inputs), weight (inputs, outputs), bias (1, outputs).

`g` is the gradient of a loss with respect to `y`, of shape
(points, outputs). Return the gradients with respect to `x`,
`weight` and `bias`, in this order, each of the shape of what it
belongs to. These are NumPy arrays; write them with NumPy.

Hint: the shapes leave little choice for the products. `bias` was
stretched to all points (exercise 5).
Read: course, chapters 2 and 4.
"""


def layer_gradients(g, x, weight, bias):
    ...
