"""Exercise 4: the backward pass.

Return a dictionary with the gradient of `output`, a single number,
with respect to every tensor that it was computed from.

For a tensor `t` that is not a leaf, `t.op.rules[i]` is the rule for
its input `i`. It is called as

    rule(g, t, *t.inputs, **t.attrs)

where `g` is the gradient with respect to `t`. Leaves have
`t.op is None`. Nothing here was broadcast, every input of every
operation requires a gradient, and every rule exists.

Hint: start with the gradient 1 at `output`, visit the newest tensor
first (`t.order` is larger for newer tensors), and add up at forks.
Read: course, chapters 2 and 3.
"""

import tinygrad_meta as tg


def backward_pass(output):
    gradients = {output: tg.tensor(1.0)}
    ...
