"""Exercise 14: tell MAML from its first-order variant.

Somebody gives you `meta_loss(theta)`, the loss after the inner
steps, and `meta_gradient(theta)`, said to be its gradient. Both take
a NumPy vector (float64); the first returns a float, the second a
vector. Return True if `meta_gradient` is the gradient of `meta_loss`
at `theta`, and False if it is something else, for instance the
gradient of first-order MAML.

Hint: central differences (exercise 7) know nothing about gradients
through gradients. Compare vectors, and not only whether they are 0:
the relative error of a right one is below 1e-6 here.
Read: course, chapter 13.
"""

import numpy as np


def is_second_order(meta_loss, meta_gradient, theta):
    ...
