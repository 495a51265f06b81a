"""Solution 11: no point in both sets, and labels without a meaning.

A query point that was in the support set would measure memory. Labels
are numbered anew for each task: if they were fixed, a network could
learn the classes themselves instead of how to learn.
"""

import numpy as np


def sample_task(examples, ways, shots, queries, rng):
    n_classes, n_examples, _ = examples.shape
    support, query = [], []
    for c in rng.permutation(n_classes)[:ways]:
        drawn = rng.permutation(n_examples)[: shots + queries]
        support.append(examples[c, drawn[:shots]])
        query.append(examples[c, drawn[shots:]])
    support_y = np.repeat(np.arange(ways), shots)
    query_y = np.repeat(np.arange(ways), queries)
    return (np.concatenate(support), support_y,
            np.concatenate(query), query_y)
