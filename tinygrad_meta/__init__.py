"""tinygrad_meta: backpropagation to read, and meta-learning on top of it.

The source is meant to be read in this order: ``tensor.py``, ``ops.py``, ``autodiff.py`` (together, the engine), ``func.py``,
``gradcheck.py``, ``nn.py``, ``optim.py``, ``tasks/sine.py``, ``meta/maml.py``, ``meta/relatives.py``, ``meta/matching.py``,
``meta/hypernetwork.py``.
"""

import numpy as _np

from . import func, graph, meta, nn, ops, optim, tasks
from .anomaly import AnomalyError, detect_anomaly
from .autodiff import grad, no_grad
from .convolution import overlap_add, windows
from .graph import compile, draw
from .graph import trace as explain
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .ops import (
    abs, add, argmax, argmin, astype, broadcast_to, clip, concat, cos, divide, einsum, equal, exp, expand_dims, expm1, getitem,
    greater, greater_equal, leaky_relu, less, less_equal, log, log1p, log_softmax, logsumexp, matmul, max, maximum, mean, min,
    minimum, multiply, negative, norm, not_equal, outer, pad, permute_dims, power, relu, reshape, sigmoid, sign,
    silu, sin, softmax, softplus, sqrt, square, squeeze, stack, std, subtract, sum, sum_to, swapaxes, tanh, var, where,
)  # fmt: skip
from .tensor import Tensor, tensor

__version__ = "0.1.0"

# Large temporaries come back from the operating system page by page, each to be cleared, until the allocator has seen that
# programs here free and reuse them.  One large array, freed at once, shows it (glibc's dynamic mmap threshold).
_np.empty(2**25 - 2**16, _np.uint8)
