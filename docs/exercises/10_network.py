"""Exercise 10: a stateless network.

`params` is a list with one pair (weight, bias) for each layer, of
shapes (..., inputs, outputs) and (..., 1, outputs). `x` has shape
(..., points, inputs). Return the output of the network: for each
layer x @ weight + bias, and `tg.tanh` after every layer except the
last.

Axes of tasks in front of all shapes must work as well: one network
for each task. Change nothing in `params`.

Hint: with a bias that is kept as a row, broadcasting does the rest.
Read: course, chapter 9.
"""

import tinygrad_meta as tg


def network(params, x):
    ...
