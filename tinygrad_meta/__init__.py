from .tensor import Tensor, tensor
from .ops import *
from .autodiff import grad, no_grad
from . import func, nn, optim, tasks, meta
