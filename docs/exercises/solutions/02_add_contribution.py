"""Solution 2: contributions add up.

A small change of `x` reaches the result on every way that leads
there, and the effects of small changes add up: the chain rule of
several variables. Replacing would keep the last way alone.
"""


def add_contribution(gradients, x, contribution):
    if x in gradients:
        contribution = gradients[x] + contribution
    gradients[x] = contribution
    return gradients
