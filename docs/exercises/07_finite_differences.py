"""Exercise 7: a gradient without rules.

`f` takes a NumPy array (float64, of any shape) and returns a float.
Return the gradient of `f` at `x`, an array of the shape of `x`, from
differences of values of `f`, correct to about eight digits.

Do not change `x`: it belongs to somebody else.

Hint: move one entry at a time, to both sides, by 1e-5 or 1e-6.
`np.ndindex(x.shape)` runs over all indices.
Read: course, chapter 5.
"""

import numpy as np


def finite_differences(f, x):
    ...
