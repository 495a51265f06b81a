"""Exercise 15: matching by cosine attention.

`query` holds features of query points, (queries, features), and
`support` those of support points, (points, features), none of them
all zeros. `targets`, (points, outputs), are the support points'
answers. Predict for each query the mean of the answers, weighted by
a softmax over `sharpness` times the cosines of the angles between
its features and those of the support points. All are tensors.

Hint: a cosine is a product of vectors of length 1. `tg.norm` takes
axis and keepdims, `tg.softmax` an axis, and `x.mT` is x transposed.
Read: course, chapter 18.
"""

import tinygrad_meta as tg


def attention(query, support, targets, sharpness):
    ...
