"""Exercise 11: an N-way K-shot task.

`examples` is an array of shape (classes, examples, features): some
examples of each of many classes. Draw a task:

- choose `ways` different classes at random, and number them anew
  from 0, in the order in which they were drawn;
- of each, choose `shots` examples for the support set and `queries`
  other ones for the query set, at random.

Return (support_x, support_y, query_x, query_y): examples of shape
(ways * shots, features) and (ways * queries, features), and their
labels, integers. The order of the points does not matter.

Hint: `rng.permutation(n)[:k]` draws k of n numbers without
repetition. One permutation of the examples of a class serves both
sets.
Read: course, chapter 10.
"""

import numpy as np


def sample_task(examples, ways, shots, queries, rng):
    ...
