"""Solution 3: a tensor waits until its inputs are in the list.

Each tensor is looked at twice at most per use, once to put its
inputs on top of it and once to enter it, so the work is proportional
to the number of operations. The engine needs none of this, because
tensors are numbered as they are created.
"""


def topological_order(output):
    order, done, to_visit = [], set(), [output]
    while to_visit:
        t = to_visit.pop()
        if t in done:
            continue
        missing = [x for x in t.inputs if x not in done]
        if missing:
            to_visit += [t, *missing]
        else:
            done.add(t)
            order.append(t)
    return order
