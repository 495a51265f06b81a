"""Solution 15: two normalisations, one product, one softmax.

Nothing is adapted to the task: what can be learned is the embedding
that the features come from, and the sharpness. The weights of a query
are positive and add up to 1, so a prediction never leaves the range
of the answers.
"""

import tinygrad_meta as tg


def attention(query, support, targets, sharpness):
    query = query / tg.norm(query, axis=-1, keepdims=True)
    support = support / tg.norm(support, axis=-1, keepdims=True)
    cosines = tg.matmul(query, support.mT)
    weights = tg.softmax(sharpness * cosines, axis=-1)
    return tg.matmul(weights, targets)
