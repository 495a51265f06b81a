"""Solution 4: newest first, one rule per input, a sum at forks.

All users of a tensor are newer than it is. When its turn comes they
have been visited, so its gradient is complete and can be passed on.
"""

import tinygrad_meta as tg


def backward_pass(output):
    gradients = {output: tg.tensor(1.0)}
    found, to_visit = set(), [output]
    while to_visit:
        t = to_visit.pop()
        if t not in found:
            found.add(t)
            to_visit += t.inputs
    for t in sorted(found, key=lambda t: t.order, reverse=True):
        for i, x in enumerate(t.inputs):
            rule = t.op.rules[i]
            share = rule(gradients[t], t, *t.inputs, **t.attrs)
            if x in gradients:
                share = gradients[x] + share
            gradients[x] = share
    return gradients
