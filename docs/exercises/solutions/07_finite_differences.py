"""Solution 7: central differences.

Taking f(x + h) - f(x) would be wrong by about h. In the difference
of both sides these errors cancel, and what is left is about h**2,
plus the rounding error of f divided by h.
"""

import numpy as np


def finite_differences(f, x):
    gradient, h = np.zeros(x.shape), 1e-6
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = h
        gradient[index] = (f(x + step) - f(x - step)) / (2 * h)
    return gradient
