"""
Five characters seen once
=========================

Which of them is this?  Few-shot classification of images, by pixels and by prototypes.

The alphabet is drawn by the program: every character is a few strokes, every example of it
another attempt at them.  Comparing pixels finds the right character half of the time, since
strokes do not lie where they did, and more often once all images are moved to their centres
of mass.  A prototypical network learns an embedding in which that no longer matters, from
characters that do not occur in the test.
"""

from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np

import tinygrad_meta as tg
from tinygrad_meta.meta import prototypes, query_loss, train
from tinygrad_meta.meta.pixels import nearest_neighbour
from tinygrad_meta.meta.plots import plot_episode
from tinygrad_meta.nn import accuracy, cross_entropy, init_mlp, layer_norm

WAYS = 5
alphabet = tg.tasks.ImageTasks(*tg.tasks.drawn_alphabet(classes=500, rng=0))
known, new = alphabet.split(0.2, rng=0)
print(f"{len(known.classes)} characters to learn from, {len(new.classes)} to be tested on")

# %%
# By pixels: the class of the nearest support image.  Guessing is right in 20 %.

test = new.sample(500, WAYS, shots=1, queries=5, rng=1)
(x, y), (query_x, query_y) = test.support, test.query
pixels = (nearest_neighbour(x, y, query_x) == query_y).mean()
print(f"nearest pixels                   {100 * pixels:.1f} %")
centred = tg.tasks.centred
pixels = (nearest_neighbour(centred(x), y, centred(query_x)) == query_y).mean()
print(f"the same, images centred         {100 * pixels:.1f} %")

# %%
# By prototypes: the class whose support images have the nearest mean embedding.


def embed(params, x):
    x = tg.reshape(x, (*x.shape[:-2], 28 * 28))
    for weight, bias in params:
        x = tg.relu(layer_norm(x @ weight + bias))
    return x


def percent(params):
    return 100 * accuracy(learner(params, test.support)(query_x), query_y).mean()


learner = partial(prototypes, embed, ways=WAYS)
params = init_mlp([28 * 28, 128, 64], rng=0, initializer="he", dtype="float32")
print(f"prototypes, before training      {percent(params):.1f} %")

steps, rng = 1000, np.random.default_rng(0)
batches = (known.sample(4, WAYS, shots=1, queries=5, rng=rng) for _ in repeat(None))
objective, sizes = partial(query_loss, learner, cross_entropy), np.linspace(0.003, 0, steps)
for params, _ in train(objective, params, batches, sizes, max_norm=10.0):
    pass
print(f"prototypes, after {steps:,} steps    {percent(params):.1f} %")

# %%
# One new task: the support image of each class in blue, and its query images.

one = new.sample(1, WAYS, shots=1, queries=5, rng=2)
answers = learner(params, one.support)(one.query[0]).numpy()[0].argmax(axis=-1)
Path("results").mkdir(exist_ok=True)
plot_episode("results/few_shot_images.png", one, answers, "Orange: taken for another class")
