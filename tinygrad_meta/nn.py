"""Neural networks: functions of parameters first, and a shell that holds the parameters second.

A *stateless* model is a function ``mlp(params, x)``.  Meta-learning needs it: the inner loop makes new parameters out of old
ones, and the result must stay a function of the old ones.  A *stateful* model, :class:`Module`, holds its parameters and is
called with ``x`` alone.  :func:`functional_call` is the bridge: call a module as a function of parameters.

Shapes: ``x`` is ``(points, features)`` and a bias is a row ``(1, features)``, so that everything also works with one or more
axes in front: ``(tasks, points, features)`` with parameters ``(tasks, in, out)`` is one network per task.
"""

import copy
from collections.abc import Mapping
from itertools import pairwise
from math import prod
from types import MethodType

import numpy as np

from . import ops
from .convolution import convolve
from .ops import equal, expand_dims, log_softmax, matmul, mean, sum, where
from .tensor import Primitive, Tensor, as_tensor, call_with_one, tensor
from .validate import floating, generator, kind, listed, number, whole

# ----------------------------------------------------------------------------------------------------- initialisers
# Each draws an array of the given shape, whose last two axes are (inputs, outputs).


def glorot_uniform(rng, shape, dtype=np.float64):
    """Uniform within +-sqrt(6 / (inputs + outputs)): keeps variances alike forwards and backwards (Glorot, Bengio 2010)."""
    inputs, outputs = check_matrix(shape)
    bound = np.sqrt(6 / (inputs + outputs))
    return generator(rng).uniform(-bound, bound, shape).astype(floating("dtype", dtype))


def he_normal(rng, shape, dtype=np.float64):
    """Normal with variance 2 / inputs: keeps the variance through relu layers (He, Zhang, Ren, Sun 2015)."""
    inputs, _ = check_matrix(shape)
    return generator(rng).normal(0, np.sqrt(2 / inputs), shape).astype(floating("dtype", dtype))


def truncated_normal(rng, shape, dtype=np.float64, std=0.01):
    """Normal, redrawn beyond two standard deviations: what the authors of MAML start the sine network from."""
    check_matrix(shape)
    rng, std = generator(rng), number("std", std, least=0)
    values = rng.normal(0, std, shape)
    while (outside := np.abs(values) > 2 * std).any():
        values[outside] = rng.normal(0, std, outside.sum())
    return values.astype(floating("dtype", dtype))


def check_matrix(shape):
    """The inputs and the outputs of weights of this shape."""
    if not isinstance(shape, (list, tuple)) or len(shape) < 2:
        raise ValueError(f"weights have a shape that ends in (inputs, outputs), and got {shape!r}")
    return [whole("an entry of a weight's shape", n, least=1) for n in shape][-2:]


INITIALIZERS = {"glorot": glorot_uniform, "he": he_normal, "truncated_normal": truncated_normal}
ACTIVATIONS = {name: getattr(ops, name) for name in ("relu", "tanh", "sigmoid", "softplus", "silu", "leaky_relu", "sin")}


def choose(options, key, role):
    if callable(key):
        return key
    if key not in list(options):  # a list, which may also be asked for what has no hash
        raise ValueError(f"there is no {role} called {key!r}: choose one of {', '.join(options)}, or pass a function")
    return options[key]


# ------------------------------------------------------------------------------------------------- stateless models


def init_mlp(sizes, rng=None, initializer="glorot", dtype=np.float64):
    """Parameters of a multilayer perceptron: a list with one ``(weight, bias)`` per layer.

    Parameters
    ----------
    sizes : sequence of ints
        Features of the input, of each hidden layer, and of the output.
    rng : numpy Generator, seed or None
    initializer : {"glorot", "he", "truncated_normal"} or function ``(rng, shape, dtype) -> array``
        For the weights; biases start at 0.

    Examples
    --------
    >>> [(w.shape, b.shape) for w, b in init_mlp([1, 40, 40, 1], rng=0)]
    [((1, 40), (1, 40)), ((40, 40), (1, 40)), ((40, 1), (1, 1))]
    """
    check_sizes(sizes)
    return init_layers(pairwise(sizes), rng, initializer, dtype)


def init_layers(shapes, rng, initializer, dtype):
    """One ``(weight, bias)`` for each shape of a weight."""
    rng, draw = generator(rng), choose(INITIALIZERS, initializer, "initializer")
    return [(Tensor(draw(rng, shape, dtype), requires_grad=True), Tensor(np.zeros((1, shape[1]), dtype), requires_grad=True))
            for shape in shapes]


def check_sizes(sizes):
    several = listed(sizes)
    counts = isinstance(several, (list, tuple)) and all(
        [type(n) is not bool and isinstance(n, (int, np.integer)) for n in several])
    if not counts or len(several) < 2 or min(several) < 1:
        raise ValueError("a network needs a list of at least an input and an output size, each a whole number, 1 or more, and "
                         f"got {sizes!r}")


def mlp(params, x, activation="relu"):
    """The multilayer perceptron as a function: matrix product, bias and activation per layer, no activation at the end.

    >>> mlp(init_mlp([1, 8, 1], rng=0), [[0.0], [1.0]]).shape
    (2, 1)
    """
    activation = choose(ACTIVATIONS, activation, "activation")
    *hidden, (weight, bias) = check_layers(params)
    for w, b in hidden:
        x = activation(matmul(x, w) + b)
    return matmul(x, weight) + bias


def check_layers(params):
    params = listed(params)
    if not isinstance(params, (list, tuple)) or not params:
        raise ValueError("the parameters of a network must be a list with one (weight, bias) for each layer, and are "
                         f"{kind(params)}")
    for i, layer in enumerate(params):
        if not isinstance(layer, (list, tuple)) or len(layer) != 2:
            raise ValueError(f"the parameters of layer {i} must be a pair (weight, bias), and are {kind(layer)}")
        weight, bias = (getattr(p, "ndim", 0) for p in layer)
        if weight > max(2, bias):  # the bias would be taken for one entry per point, where there are as many points as tasks
            raise ValueError(f"layer {i} has a weight for each task, of shape {layer[0].shape}, and a bias of shape "
                             f"{np.shape(layer[1])}: a bias must be a row, (1, outputs), and for each task (tasks, 1, outputs)")
    return params


# ------------------------------------------------------------------------------------------------------ convolutions
# Images have their channels last: (points, height, width, channels).

DOWNSAMPLING = ("stride", "pool", None)


def init_conv_net(channels, rng=None, initializer="he", dtype=np.float64):
    """Parameters of a convolutional network: a list with one ``(weight, bias)`` per layer.

    Parameters
    ----------
    channels : sequence of ints
        Of the images, which is 1, and of each layer.
    rng, initializer, dtype
        As for :func:`init_mlp`.

    Examples
    --------
    >>> [(w.shape, b.shape) for w, b in init_conv_net([1, 32, 64], rng=0)]
    [((9, 32), (1, 32)), ((288, 64), (1, 64))]
    """
    check_sizes(channels)
    return init_layers([(9 * inputs, outputs) for inputs, outputs in pairwise(channels)], rng, initializer, dtype)


def conv_net(params, x, downsampling="stride"):
    """A small convolutional network as a function of its parameters, from images to vectors of features.

    A layer is a convolution, layer normalisation and a relu.  Four layers of 32 or 64 channels are the usual encoder of
    few-shot learning (Vinyals et al. 2016; Finn, Abbeel, Levine 2017).  Theirs standardises over a batch; :func:`layer_norm`
    says why this one does not.

    Parameters
    ----------
    params : list of (weight, bias)
        As :func:`init_conv_net` makes them; with an axis of tasks in front, one network per task.
    x : array or Tensor of shape (..., points, height, width)
    downsampling : {"stride", "pool", None} or a sequence of these, one per layer
        How a layer halves height and width: by moving its window two pixels at a time, by :func:`max_pool` after moving it by
        one, or not at all.  Of an odd number striding keeps the larger half, and pooling the smaller one.  Striding is quicker.

    Returns
    -------
    Tensor of shape (..., points, features)
        The last layer's height, width and channels in one axis.

    Examples
    --------
    >>> conv_net(init_conv_net([1, 8, 8], rng=0), np.ones((5, 28, 28))).shape
    (5, 392)
    >>> conv_net(init_conv_net([1, 8, 8], rng=0), np.ones((5, 28, 28)), ["stride", "pool"]).shape
    (5, 392)
    """
    x = as_tensor(x)
    if x.ndim < 3:
        raise ValueError(f"conv_net takes images of shape (..., points, height, width), and got shape {x.shape}")
    x = expand_dims(x, -1)
    for (weight, bias), how in zip(check_layers(params), one_per_layer(downsampling, len(params)), strict=True):
        x = convolution(x, weight, bias, stride=2 if how == "stride" else 1)
        x = max_pool(x) if how == "pool" else x  # first, because it leaves a quarter of the entries for what follows
        x = ops.relu(layer_norm(x, axis=(-3, -2, -1)))
    return ops.reshape(x, (*x.shape[:-3], prod(x.shape[-3:])))


def one_per_layer(downsampling, layers):
    each = list(downsampling) if isinstance(downsampling, (list, tuple)) else [downsampling] * layers
    if len(each) != layers or not all([how in DOWNSAMPLING for how in each]):
        raise ValueError(f"downsampling is one of {DOWNSAMPLING}, or a sequence with one of them for each of the {layers} "
                         f"layers, and got {downsampling!r}")
    return each


def convolution(x, weight, bias, stride=1):
    """Convolve images with windows of 3 by 3 pixels that reach over the border by one pixel, which is 0 there.

    Parameters
    ----------
    x : Tensor of shape (..., points, height, width, channels)
    weight : Tensor of shape (..., 9 * channels, outputs)
        Its rows are the entries of a window, in the order of :func:`~tinygrad_meta.windows`.
    bias : Tensor of shape (..., 1, outputs)
    stride : int

    Returns
    -------
    Tensor of shape (..., points, height / stride, width / stride, outputs)
        Rounded up.
    """
    x, weight, bias = as_tensor(x), as_tensor(weight), as_tensor(bias)
    whole("stride", stride)
    if x.ndim < 4 or weight.ndim < 2 or weight.shape[-2] != 9 * x.shape[-1] or stride < 1:
        raise ValueError("a convolution takes images (..., points, height, width, channels), a weight (..., 9 * channels, "
                         f"outputs) and a stride from 1, and got shapes {x.shape} and {weight.shape} and stride {stride}")
    out = convolve(x, weight, stride=stride)
    rows = ops.reshape(out, (*out.shape[:-4], prod(out.shape[-4:-1]), out.shape[-1]))
    return ops.reshape(rows + bias, out.shape)


def layer_norm(x, axis=-1, epsilon=1e-5):
    """Standardise over ``axis``, a number or a tuple: the entries along it get mean 0 and variance 1 (Ba, Kiros, Hinton 2016).

    The paper's learned gain and shift are left out.

    Over the axes of an image, the statistics are the image's own, and no point has any part in what is computed for another.
    Batch normalisation (Ioffe, Szegedy 2015) takes them over the points of a batch instead.  Where that batch is the query set,
    a prediction depends on the other queries that it is asked along with.  Such a method is transductive, and its accuracy is
    not comparable with that of one that meets each query point alone (Nichol, Achiam, Schulman 2018).

    >>> layer_norm([[1.0, 3.0], [10.0, 30.0]], epsilon=0)
    Tensor([[-1.  1.]
            [-1.  1.]], dtype=float64)
    """
    x, epsilon = as_tensor(x), number("epsilon", epsilon, least=0)
    if x.dtype == np.float16:  # which ends at 65,504, the square of 256
        return ops.astype(layer_norm(ops.astype(x, np.float32), axis, epsilon), np.float16)
    distance = x - mean(x, axis, keepdims=True)
    return distance * (mean(ops.square(distance), axis, keepdims=True) + epsilon) ** -0.5


def max_pool(x):
    """The largest entry of every square of 2 by 2 pixels, in images of shape (..., height, width, channels).

    An odd last row or column is left out.  Where several entries are the largest, they share the gradient equally.

    >>> max_pool([[[1.0], [2.0], [9.0]], [[4.0], [3.0], [9.0]]])
    Tensor([[[4.]]], dtype=float64)
    """
    x = as_tensor(x)
    if x.ndim < 3 or min(x.shape[-3:-1]) < 2:
        raise ValueError("max_pool takes images of shape (..., height, width, channels) with at least 2 by 2 pixels, and got "
                         f"shape {x.shape}")
    *batch, height, width, channels = x.shape
    if height % 2 or width % 2:
        x = x[..., : height // 2 * 2, : width // 2 * 2, :]
    return ops.max(ops.reshape(x, (*batch, height // 2, 2, width // 2, 2, channels)), axis=(-4, -2))


# ----------------------------------------------------------------------------------------------------------- losses


def mse_loss(prediction, target):
    """The mean of the squared error over points and outputs, the last two axes: one number per task, or a single one.

    >>> mse_loss(tensor([[1.0], [3.0]]), [[0.0], [0.0]])
    Tensor(5.0, dtype=float64)
    """
    prediction, target = as_tensor(prediction, beside=target), as_tensor(target, beside=prediction)
    if prediction.shape != target.shape:
        raise ValueError(f"mse_loss compares arrays of one shape, and got predictions {prediction.shape} and targets "
                         f"{target.shape}: broadcasting them would compare every point with every other")
    return mean(ops.square(prediction - target), axis=tuple(range(prediction.ndim))[-2:])


def cross_entropy(logits, labels):
    """The mean over points of -log(softmax(logits)[label]): one number per task, or a single one.

    Parameters
    ----------
    logits : Tensor
        Of shape (..., points, classes).
    labels : integers of shape (..., points)
        From 0 to one less than the number of classes.

    Examples
    --------
    >>> cross_entropy(tensor([[0.0, 0.0], [1000.0, 0.0]]), [0, 0])
    Tensor(0.34657359027997264, dtype=float64)
    """
    logits, labels = check_labelled(logits, labels)
    loss = -sum(where(chosen(labels, logits.shape[-1]), log_softmax(logits), 0), axis=-1)
    return mean(loss, axis=-1) if loss.ndim else loss


def check_labelled(logits, labels):
    logits, labels = as_tensor(logits), as_tensor(labels)
    if not logits.ndim:
        raise ValueError("logits must have an axis, the last one, with an entry for each class, and are a single number")
    if labels.shape != logits.shape[:-1]:
        raise ValueError(f"logits of shape {logits.shape} take integer labels of shape {logits.shape[:-1]}, and got "
                         f"{labels.dtype} of shape {labels.shape}")
    return logits, labels


def one_hot(labels, classes, dtype=np.float64):
    """Labels as vectors that are 1 at the label and 0 elsewhere: what a network reads, or a sum over classes multiplies by.

    Parameters
    ----------
    labels : integers of shape (...)
    classes : int
        How many there are: labels run from 0 to one less.

    Returns
    -------
    Tensor
        Of shape (..., classes).

    Examples
    --------
    >>> one_hot([1, 0], classes=3, dtype="float32")
    Tensor([[0. 1. 0.]
            [1. 0. 0.]], dtype=float32)
    """
    return ops.astype(chosen(as_tensor(labels), classes), dtype)


def chosen(labels, classes):
    """For each label, which of the classes it is, as booleans along a new last axis."""
    return equal(expand_dims(check_labels(labels, classes=classes), -1), np.arange(classes))


def check_labels(labels, classes):
    if type(labels) is not Tensor:
        return record_check(labels, classes=classes)  # a function is being recorded: its replay must check labels, too
    labels_within(labels._data, classes)
    return labels


def labels_within(labels, classes):
    """The labels, if they are some."""
    whole("the number of classes", classes, least=1)
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels are integers from 0 to {classes - 1}, and these are {labels.dtype} of shape {labels.shape}")
    if labels.size and not (0 <= labels.min() and labels.max() < classes):
        raise ValueError(f"got labels from {labels.min()} to {labels.max()} for {classes} classes: they must lie between 0 and "
                         f"{classes - 1}")
    return labels


record_check = call_with_one(Primitive(labels_within, [None]))


def accuracy(logits, labels):
    """The share of points whose largest logit is the labelled one, as an array: one number per task, or a single one.

    A point with nan among its logits counts as wrong.

    >>> print(accuracy([[2.0, 1.0], [np.nan, 1.0]], [0, 0]))
    0.5
    """
    logits, labels = check_labelled(logits, labels)
    answers = np.where(np.isnan(logits.data).any(axis=-1), -1, ops.argmax(logits, axis=-1).data)
    right = answers == check_labels(labels, classes=logits.shape[-1]).data
    return np.mean(right, axis=tuple(range(labels.ndim))[-1:])


# -------------------------------------------------------------------------------------------------- stateful models


class Module:
    """A model that holds its parameters.

    A subclass sets tensors, other modules, or lists, tuples and dicts of them as attributes, and defines ``forward``.

    Examples
    --------
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = tensor(2.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> model = Scale()
    >>> model(3.0)
    Tensor(6.0, dtype=float64, op=multiply)
    >>> functional_call(model, {"factor": tensor(10.0)}, 3.0)
    Tensor(30.0, dtype=float64)
    """

    def __call__(self, *x):
        return self.forward(*x)

    def forward(self, *x):
        raise NotImplementedError(f"{type(self).__name__} defines no forward(self, x), which says what it computes")

    def named_parameters(self):
        """All tensors that require a gradient, by dotted name such as ``layers.0.weight``, in the order they were set."""
        return {name: value for name, value in self._tensors().items() if value.requires_grad}

    def parameters(self):
        """The same as a list."""
        return list(self.named_parameters().values())

    def state_dict(self):
        """All tensors, as a dict of name and array, copied: what ``numpy.savez`` can store."""
        return {name: value.numpy() for name, value in self._tensors().items()}

    def load_state_dict(self, state):
        """Replace all tensors by the values of a dict such as :meth:`state_dict` returns, arrays or tensors."""
        own = self._tensors()
        if not isinstance(state, Mapping):
            raise TypeError(f"a state is a dict of name and array, and this is {kind(state)}")
        if set(own) != set(state):
            raise ValueError(f"the state does not fit the module: missing {sorted(set(own) - set(state))}, "
                             f"unknown {sorted(set(state) - set(own))}")
        new = {}
        for name, value in state.items():
            value = value.data if isinstance(value, Tensor) else np.asarray(value)
            if value.shape != own[name].shape:
                raise ValueError(f"the state does not fit the module: {name} has shape {value.shape} there and "
                                 f"{own[name].shape} here")
            if not np.can_cast(value.dtype, own[name].dtype, "same_kind"):
                raise TypeError(f"the state does not fit the module: {name} has dtype {value.dtype} there and "
                                f"{own[name].dtype} here")
            new[own[name]] = Tensor(value, own[name].dtype, own[name].requires_grad, own[name].name)
        with_tensors(self, new, held=lambda container: container)

    def _tensors(self):
        found = {}  # by tensor: one that is used twice, as in tied layers, is listed once
        for name, value in named_tensors(self):
            found.setdefault(value, name)
        named = {name: value for value, name in found.items()}
        if len(named) < len(found):
            twice = next(name for value, name in found.items() if named[name] is not value)
            raise ValueError(f"two tensors of the module are called {twice!r}: rename one of the attributes or keys")
        return named


def named_tensors(container, above=()):
    """Dotted names and values of all tensors in modules, lists, tuples and dicts, however nested."""
    above = (*above, container)
    entries = vars(container) if isinstance(container, Module) else container
    for key, value in entries.items() if isinstance(entries, dict) else enumerate(entries):
        if isinstance(value, Tensor):
            yield str(key), value
        elif isinstance(value, (Module, dict, list, tuple)) and not any([value is each for each in above]):
            yield from ((f"{key}.{name}", each) for name, each in named_tensors(value, above))


def functional_call(module, params, *x):
    """Call a module as a function of its parameters; the module itself is not touched.

    Parameters
    ----------
    module : Module
    params : dict of name and tensor
        Names as in :meth:`Module.named_parameters`; those left out keep the module's own value.
    *x : the module's inputs
    """
    if not isinstance(module, Module) or not isinstance(params, dict):
        raise TypeError(f"functional_call takes a Module and a dict of name and tensor, and got one {kind(module)} and one "
                        f"{kind(params)}")
    own = module._tensors()
    unknown = set(params) - set(own)
    if unknown:
        raise ValueError(f"the module has no parameters called {sorted(unknown)}: it has {list(module.named_parameters())}")
    return with_tensors(module, {own[name]: value for name, value in params.items()})(*x)


def with_tensors(value, new, held=copy.copy):
    """``value`` with tensors replaced, in copies of the modules, lists and dicts that hold them or (``held``) in place."""
    if isinstance(value, (Tensor, Module)) and value in new:
        return new[value]
    if isinstance(value, tuple):
        parts = [with_tensors(part, new, held) for part in value]
        return value._make(parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, MethodType):  # of the module itself, say, and then of its copy
        return MethodType(value.__func__, with_tensors(value.__self__, new, held))
    if isinstance(value, (Module, dict, list)):
        holder = held(value)
        if isinstance(value, Module):
            new[value] = holder  # also where a part refers back to the whole
        entries = vars(holder) if isinstance(value, Module) else holder
        for key, part in [*(enumerate(entries) if isinstance(entries, list) else entries.items())]:
            entries[key] = with_tensors(part, new, held)
        return holder
    return value


class Linear(Module):
    """``x @ weight + bias``, with ``weight`` of shape (inputs, outputs) and ``bias`` a row of shape (1, outputs)."""

    def __init__(self, inputs, outputs, rng=None, initializer="glorot", dtype=np.float64):
        [(self.weight, self.bias)] = init_mlp([inputs, outputs], rng, initializer, dtype)

    def forward(self, x):
        return matmul(x, self.weight) + self.bias


class MLP(Module):
    """A multilayer perceptron that holds its parameters: :func:`mlp` in a shell.

    >>> model = MLP([1, 40, 40, 1], "relu", rng=0)
    >>> list(model.named_parameters())[:3]
    ['layers.0.weight', 'layers.0.bias', 'layers.1.weight']
    >>> model([[0.5]]).shape
    (1, 1)
    """

    def __init__(self, sizes, activation="relu", rng=None, initializer="glorot", dtype=np.float64):
        check_sizes(sizes)
        choose(ACTIVATIONS, activation, "activation")
        rng = generator(rng)
        self.activation = activation
        self.layers = [Linear(*pair, rng, initializer, dtype) for pair in pairwise(sizes)]

    def forward(self, x):
        return mlp([(layer.weight, layer.bias) for layer in self.layers], x, self.activation)
