"""Omniglot's one-shot test, taken by a prototypical network: what ``python -m tinygrad_meta omniglot-challenge`` runs.

In each of 20 runs there are 20 characters of a new alphabet, drawn once by one person and once by another, and the task is
to find which of the first belongs to each of the second (Lake, Salakhutdinov, Tenenbaum 2015).  Nothing is shared between
questions: every one is answered as if it were the only one.

Five alphabets are little to learn from, so a step of training sees many classes at once and every image anew: turned by
quarters they are further characters, and all are turned, slanted, resized and moved at random.

The settings were chosen for 20-way tasks from alphabets of the other minimal set; after that, the test was taken six times
while this was built.
"""

from functools import partial

import numpy as np

from ..nn import conv_net, cross_entropy, init_conv_net
from ..ops import argmax
from ..tasks.images import ImageTasks, centred, distort, rotated
from ..validate import generator, number
from .families import init_scaled, learned, scaled, train_for
from .maml import tasks_of
from .matching import prototypes

WAYS = 60  # classes in a step of training, with one support and one query image of each
CHANNELS, DOWNSAMPLING = (1, 32, 64, 64, 64), ("stride", "pool", None, "stride")

# Errors in percent.  The last two columns are for training on the five alphabets of a minimal set.
PUBLISHED = {  # Lake, Salakhutdinov, Tenenbaum 2015
    "people": (4.5, None, None),
    "Bayesian program learning": (3.3, 4.3, 4.0),
    "siamese convolutional network": (8.0, None, None),
    "simple convolutional network": (13.5, 24.0, 22.3),
    "modified Hausdorff distance": (38.8, None, None),
}


embed = partial(scaled, partial(conv_net, downsampling=DOWNSAMPLING))


def init_embedding(rng=None, dtype=np.float32):
    return init_scaled(init_conv_net(CHANNELS, rng, dtype=dtype))


def check_enough(images, labels):
    """Raise a ValueError if there are too few classes, or examples of one, to train with."""
    ImageTasks(*rotated(images, labels)).sample(1, WAYS, shots=1, queries=1)


def episodes(images, labels, rng):
    """Tasks to train on, without end: one at a time, of all alphabets and in all orientations."""
    tasks = ImageTasks(*rotated(centred(images), labels))
    while True:
        batch = tasks.sample(1, WAYS, shots=1, queries=1, rng=rng)
        (x, y), (query_x, query_y) = batch.support, batch.query
        both = distort(np.concatenate([x, query_x], axis=1), rng, degrees=20, shift=2, scale=0.15, shear=0.2)
        yield batch._replace(support=(both[:, :WAYS], y), query=(both[:, WAYS:], query_y))


def train_embedding(images, labels, seconds, iterations=None, rng=None):
    """Train on labelled images for a time, or for a number of iterations; a generator of parameters and losses.

    Parameters
    ----------
    images, labels
        As :func:`~tinygrad_meta.tasks.omniglot.load_omniglot` returns them.
    seconds : float
    iterations : int, optional
        Takes the place of the time.
    rng : numpy Generator, seed or None
    """
    for_parameters, for_training = generator(rng).spawn(2)
    check_enough(images, labels)
    number("seconds", seconds, least=0)
    learner = partial(prototypes, embed, ways=WAYS)
    method = learned("metric", learner, cross_entropy, init_embedding(for_parameters), step_size=0.003)
    return train_for(method, episodes(images, labels, for_training), seconds, iterations)


def answers(params, runs):
    """The class given to each query image of the test's runs: an array of shape (runs, images).

    Parameters
    ----------
    params : structure of tensors
        As :func:`train_embedding` hands them over.
    runs : ImageBatch
        As :func:`~tinygrad_meta.tasks.omniglot.load_runs` returns it.
    """
    tasks_of(runs)
    (x, y), (query_x, _) = runs.support, runs.query
    predict = prototypes(embed, params, (centred(x), y), ways=y.shape[1])
    return argmax(predict(centred(query_x)), axis=-1).numpy()
