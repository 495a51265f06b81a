"""Exercise 3: a topological order.

Return a list of all tensors that `output` was computed from, and
`output` itself, each once, so that the inputs of a tensor come
before it. A tensor `t` has its inputs in the tuple `t.inputs`; that
of a leaf is empty.

Two conditions. Do not use `t.order`, which would make it easy. And
do not use recursion: the graph may be 10,000 operations deep.

Hint: keep a list of what is still to be visited. A tensor may go
into the result when all its inputs are in it; until then, put it
back and visit those first. Use a set for what has been done:
`t in some_list` would compare values.
Read: course, chapter 3.
"""


def topological_order(output):
    ...
