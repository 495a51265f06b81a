from .tensor import Tensor, tensor
from .ops import *
from .autodiff import grad, no_grad
from . import func, nn, optim, tasks, meta
import numpy as _np
_np.empty(2**25-2**16, _np.uint8)
