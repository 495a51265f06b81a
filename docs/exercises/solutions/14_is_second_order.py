"""Solution 14: finite differences of the whole objective.

The inner steps are run again for each moved parameter, so nothing
that the meta-gradient forgets can be forgotten here too. A norm above
zero, or a loss that goes down, would prove nothing.
"""

import numpy as np


def is_second_order(meta_loss, meta_gradient, theta):
    h = 1e-5
    truth = np.array(
        [(meta_loss(theta + step) - meta_loss(theta - step)) / (2 * h)
         for step in h * np.eye(theta.size)])
    error = np.linalg.norm(meta_gradient(theta) - truth)
    return bool(error < 1e-6 * np.linalg.norm(truth))
