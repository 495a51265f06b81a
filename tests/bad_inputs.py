"""What happens when something is passed that should not be: every public function, and the sentence that its user gets to read.

The table below is a specification, which ``test_bad_inputs.py`` tests row by row, and a page of the documentation, which
``python -m tests.bad_inputs`` writes.
"""

import re
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import matplotlib
from numpy.exceptions import AxisError

from tinygrad_meta import AnomalyError, GradcheckError
from tinygrad_meta.meta.checkpoint import CheckpointError

PAGE = Path(__file__).parents[1] / "docs" / "bad_inputs.md"

SETUP = """\
import copy
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import tinygrad_meta as tg
import tinygrad_meta.meta.challenge
import tinygrad_meta.meta.pixels
import tinygrad_meta.tasks.omniglot

x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True, name="x")
w = tg.tensor(np.ones((2, 3)), requires_grad=True, name="w")
n = tg.tensor([1, 2, 3])

params = tg.nn.init_mlp([1, 4, 1], rng=0)
model = tg.nn.Linear(2, 3, rng=0)
loss_fn = lambda params, x, y: tg.nn.mse_loss(tg.nn.mlp(params, x), y)
objective = partial(tg.meta.maml_loss, loss_fn, step_size=0.1)
learner = partial(tg.meta.maml, tg.nn.mlp, tg.nn.mse_loss, step_size=0.1)

batch = tg.tasks.SineTasks().sample(n_tasks=2, n_support=3, n_query=3, rng=0)
one_task = tg.tasks.SineTasks().sample(n_tasks=1, n_support=3, n_query=3, rng=0)
other_query = batch._replace(query=one_task.query)

images, labels = tg.tasks.drawn_alphabet(classes=6, examples=3, rng=0)
tasks = tg.tasks.ImageTasks(images, labels)
points, classes = np.ones((4, 2)), np.array([0, 0, 1, 1])
embed = lambda params, x: tg.tensor(x)

def anomalous(f):
    with np.errstate(all="ignore"), tg.detect_anomaly():
        f()
"""

UNARY = "abs cos exp expm1 log log1p negative relu sigmoid sign sin softplus sqrt square tanh"
BINARY = "add subtract multiply divide power maximum minimum greater greater_equal less less_equal equal not_equal"
REDUCTIONS = "sum mean var std norm max min argmax argmin logsumexp softmax log_softmax"

NUMBERS = ("a tensor holds numbers, and this data has dtype {}: convert it first (to ask whether something is None, write "
           "`is None`)")
TEXT, NOTHING = NUMBERS.format("<U3"), NUMBERS.format("object")
RAGGED = "a tensor holds numbers, in rows of equal length, and this list does not: setting an array element with a sequence"
SEED = "rng must be a NumPy generator, a seed (a whole number from 0) or None, and is 'seed'"

# Names, separated by blanks; what is wrong; code; the error; its message.  NAME in the code stands for each of the names, in
# the message for its last part.  "..." in a message may stand for anything: what differs between machines or versions of NumPy.
TABLE = {
    "Tensors": [
        ("Tensor tensor", "text", 'tg.NAME("abc")', TypeError, TEXT),
        ("Tensor tensor", "nothing", "tg.NAME(None)", TypeError, NOTHING),
        ("Tensor tensor", "a dict", 'tg.NAME({"a": 1.0})', TypeError, NOTHING),
        ("Tensor tensor", "rows of different lengths", "tg.NAME([[1.0], [2.0, 3.0]])", ValueError, RAGGED),
        ("tensor", "integers that are to have a gradient", "tg.tensor([1, 2], requires_grad=True)", TypeError,
         ("requires_grad=True needs a real floating-point tensor, and this one has dtype int64: make it with dtype=float, "
          "or leave it out of what you differentiate by")),
        ("tensor", "complex numbers that are to have a gradient", "tg.tensor([1j], requires_grad=True)", TypeError,
         ("requires_grad=True needs a real floating-point tensor, and this one has dtype complex128: make it with "
          "dtype=float, or leave it out of what you differentiate by")),
        ("tensor", "a dtype that does not exist", 'tg.tensor(1.0, dtype="float33")', TypeError,
         "data type 'float33' not understood"),
        ("tensor", "a dtype that is not one of numbers", "tg.tensor(1.0, dtype=str)", TypeError, TEXT),
        ("tensor", "a number that the dtype does not hold", 'tg.tensor(float("nan"), dtype=int)', ValueError,
         ("a tensor holds numbers of dtype int64, in rows of equal length, and this float does not: cannot convert float "
          "NaN to integer")),
        ("tensor", "a name that is no text", "tg.tensor(1.0, name=3)", TypeError, "a tensor's name is text, and got 3"),
        ("tensor", "too many arguments", 'tg.tensor(1.0, float, True, "x", 3)', TypeError,
         "tensor() takes from 1 to 4 positional arguments but 5 were given"),
        ("Tensor.item", "more than one element", "x.item()", ValueError,
         "item() takes a tensor with one element, and this one has shape (3,)"),
        ("Tensor.item", "a condition with more than one element", "bool(x > 0)", ValueError,
         "item() takes a tensor with one element, and this one has shape (3,)"),
        ("Tensor.item", "a conversion of more than one element", "float(x)", ValueError,
         "item() takes a tensor with one element, and this one has shape (3,)"),
        ("Tensor", "the length of a single number", "len(tg.tensor(1.0))", TypeError,
         "a tensor of shape () has no length and nothing to iterate over: item() is its value"),
        ("Tensor", "a loop over a single number", "list(tg.tensor(1.0))", TypeError,
         "a tensor of shape () has no length and nothing to iterate over: item() is its value"),
        ("Tensor", "an array of a tensor with a gradient", "np.asarray(x)", TypeError,
         ("converting a tensor that requires a gradient to an array would cut it off from its graph unseen: use the "
          "operations of tinygrad_meta, or say .numpy() if a plain array is what you want")),
        ("Tensor", "a copy of a result", "copy.copy(x * 2)", TypeError,
         "a result cannot be copied apart from its graph: detach() it first"),
        ("Tensor", "a question that `is` should ask", "x == None", TypeError, NOTHING),
        ("Tensor.backward", "more than one element", "x.backward()", ValueError,
         ("grad of an output with shape (3,) needs grad_outputs of that shape: without it, only a single number can be "
          "differentiated, for instance out.sum()")),
        ("Tensor.backward", "a gradient of another shape", "x.sum().backward([1.0, 2.0])", ValueError,
         "grad_outputs has shape (2,) for an output of shape (): they must be the same"),
        ("Tensor.backward", "text for a gradient", 'x.backward("ones")', TypeError,
         ("a tensor holds numbers, and this data has dtype <U4: convert it first (to ask whether something is None, write "
          "`is None`)")),
        ("Tensor.backward", "nothing to differentiate by", "n.sum().backward()", ValueError,
         "backward() found nothing that requires a gradient: make your parameters with requires_grad=True"),
        ("Tensor.reshape", "another number of elements", "x.reshape(2, 2)", ValueError,
         "reshape(shape=(2, 2)) of shape (3,): cannot reshape array of size 3 into shape (2,2)"),
        ("Tensor.transpose", "more axes than there are", "x.transpose(0, 1)", ValueError,
         "permute_dims(axes=(0, 1)) of shape (3,): axes don't match array"),
        ("Tensor.transpose", "an axis that does not exist", "w.transpose(0, 5)", AxisError,
         "permute_dims(axes=(0, 5)) of shape (2, 3): axis 5 is out of bounds for array of dimension 2"),
        ("Tensor.mT", "a single axis", "x.mT", AxisError,
         "swapaxes(-1, -2) of shape (3,): axis2: axis -2 is out of bounds for array of dimension 1"),
        ("Tensor", "a NumPy function without a rule", "np.cumsum(x)", TypeError,
         ("numpy.cumsum has no derivative rule here: use an operation of tinygrad_meta, or .numpy() where no derivative is "
          "needed")),
        ("Tensor", "a NumPy option without a rule", "np.sin(x, out=np.ones(3))", TypeError,
         "np.sin of a tensor makes a new tensor and cannot write it elsewhere: in place of a += x or out=a, say a = a + x"),
        ("Tensor", "another option of NumPy's", "np.sin(x, where=True)", TypeError,
         ("np.sin(tensor, where) has no derivative rule here: use an operation of tinygrad_meta, or .numpy() where no "
          "derivative is needed")),
        ("Tensor", "padding with something else than zeros", 'np.pad(x, 1, mode="edge")', TypeError,
         "np.pad(tensor, mode='edge') has no derivative rule here: only padding with zeros has"),
        ("Tensor", "a norm of matrices", "np.linalg.norm(tg.tensor(np.ones((2, 2))), ord=2, axis=(0, 1))", TypeError,
         "np.linalg.norm(tensor, ord=2) has no derivative rule here: only the Euclidean norm has"),
        ("Tensor", "a norm without a rule", "np.linalg.norm(x, ord=1)", TypeError,
         "np.linalg.norm(tensor, ord=1) has no derivative rule here: only the Euclidean norm has"),
    ],
    "Operations": [
        (f"{UNARY} silu leaky_relu", "text", 'tg.NAME("abc")', TypeError, TEXT),
        (f"{UNARY} silu leaky_relu", "nothing", "tg.NAME(None)", TypeError, NOTHING),
        (f"{UNARY} silu leaky_relu", "rows of different lengths", "tg.NAME([[1.0], [2.0, 3.0]])", ValueError, RAGGED),
        (UNARY, "too many arguments", "tg.NAME(x, 1)", TypeError,
         "NAME takes at most 1 by position, and got 2"),
        (UNARY, "an argument that does not exist", "tg.NAME(x, axis=0)", TypeError,
         "NAME(axis=0) of shape (3,): NAME() got an unexpected keyword argument 'axis'"),
        ("silu", "too many arguments", "tg.silu(x, 1)", TypeError,
         "silu() takes 1 positional argument but 2 were given"),
        ("leaky_relu", "a slope that is text", 'tg.leaky_relu(x, "steep")', TypeError,
         ("a tensor holds numbers, and this data has dtype <U5: convert it first (to ask whether something is None, write "
          "`is None`)")),
        ("leaky_relu", "slopes of another shape", "tg.leaky_relu(x, [1.0, 2.0])", ValueError,
         "multiply of shapes (2,) and (3,): operands could not be broadcast together with shapes (2,) (3,)"),
        (BINARY, "text", 'tg.NAME(x, "abc")', TypeError, TEXT),
        (BINARY, "nothing", "tg.NAME(x, None)", TypeError, NOTHING),
        (BINARY, "rows of different lengths", "tg.NAME(x, [[1.0], [2.0, 3.0]])", ValueError, RAGGED),
        (BINARY, "shapes that do not fit", "tg.NAME(x, [1.0, 2.0])", ValueError,
         "NAME of shapes (3,) and (2,): operands could not be broadcast together with shapes (3,) (2,)"),
        (BINARY, "too many arguments", "tg.NAME(x, x, x)", TypeError,
         "NAME() takes 2 positional arguments but 3 were given"),
        ("power", "integers to a negative power", "tg.power(n, -1)", ValueError,
         "power of shapes (3,) and (): Integers to negative integer powers are not allowed."),
        ("subtract", "booleans", "tg.subtract([True], [False])", TypeError,
         ("subtract of shapes (1,) and (1,): numpy boolean subtract, the `-` operator, is not supported, use the "
          "bitwise_xor, the `^` operator, or the logical_xor function instead.")),
        ("negative", "booleans", "tg.negative([True])", TypeError,
         ("negative of shape (1,): The numpy boolean negative, the `-` operator, is not supported, use the `~` operator or "
          "the logical_not function instead.")),
        ("where", "a condition that is text", 'tg.where("abc", x, x)', TypeError, TEXT),
        ("where", "a branch that is nothing", "tg.where(x > 0, None, x)", TypeError, NOTHING),
        ("where", "branches of another shape", "tg.where(x > 0, x, [1.0, 2.0])", ValueError,
         "select of shapes (3,) and (3,) and (2,): operands could not be broadcast together with shapes (3,) (3,) (2,)"),
        ("where", "a missing branch", "tg.where(x > 0, x)", TypeError,
         "where() missing 1 required positional argument: 'y'"),
        ("clip", "a bound that is text", 'tg.clip(x, "low")', TypeError, TEXT),
        ("clip", "bounds of another shape", "tg.clip(x, [1.0, 2.0])", ValueError,
         "less of shapes (3,) and (2,): operands could not be broadcast together with shapes (3,) (2,)"),
        ("clip", "too many arguments", "tg.clip(x, 0, 1, 2)", TypeError,
         "clip() takes from 1 to 3 positional arguments but 4 were given"),
        ("astype", "a dtype that does not exist", 'tg.astype(x, "float33")', TypeError,
         "data type 'float33' not understood"),
        ("astype", "a dtype without derivatives", "tg.astype(x, int)", TypeError,
         "a conversion from float64 to int64 has no derivative: detach() the tensor first"),
        ("astype", "a dtype that is not one of numbers", "tg.astype(n, object)", TypeError,
         "a tensor holds numbers, and dtype object is none of numbers"),
        ("reshape", "another number of elements", "tg.reshape(x, (2, 2))", ValueError,
         "reshape(shape=(2, 2)) of shape (3,): cannot reshape array of size 3 into shape (2,2)"),
        ("reshape", "two lengths to be found", "tg.reshape(x, (-1, -1))", ValueError,
         "reshape(shape=(-1, -1)) of shape (3,): can only specify one unknown dimension"),
        ("reshape", "a shape that is text", 'tg.reshape(x, "square")', TypeError,
         "reshape(shape='square') of shape (3,): 'str' object cannot be interpreted as an integer"),
        ("reshape", "a length that is not whole", "tg.reshape(x, 1.5)", TypeError,
         "reshape(shape=1.5) of shape (3,): expected a sequence of integers or a single integer, got '1.5'"),
        ("reshape", "too many arguments", "tg.reshape(x, 3, 1)", TypeError,
         "reshape takes at most 2 by position, and got 3"),
        ("broadcast_to", "a shape that does not fit", "tg.broadcast_to(x, (2, 2))", ValueError,
         "broadcast_to(shape=(2, 2)) of shape (3,): shape (3,) cannot be stretched to (2, 2), nor (2, 2) be summed to (3,)"),
        ("broadcast_to", "a shape that does not fit, of a transposed matrix", "tg.broadcast_to(w.T, (2, 2))", ValueError,
         ("broadcast_to(shape=(2, 2)) of shape (3, 2): operands could not be broadcast together with remapped shapes "
          "[original->remapped]: (3,2)  and requested shape (2,2)")),
        ("broadcast_to", "no shape", "tg.broadcast_to(x, None)", TypeError,
         "broadcast_to(shape=None) of shape (3,): 'NoneType' object is not iterable"),
        ("broadcast_to", "a length that is not whole", "tg.broadcast_to(x, (1.5, 3))", TypeError,
         "broadcast_to(shape=(1.5, 3)) of shape (3,): 'float' object cannot be interpreted as an integer"),
        ("broadcast_to", "a negative length", "tg.broadcast_to(x, (-1, 3))", ValueError,
         "broadcast_to(shape=(-1, 3)) of shape (3,): negative dimensions are not allowed"),
        ("sum_to", "a shape that does not fit", "tg.sum_to(w, (2, 2))", ValueError,
         "sum_to(shape=(2, 2)) of shape (2, 3): shape (2, 2) cannot be stretched to (2, 3), nor (2, 3) be summed to (2, 2)"),
        ("sum_to", "no shape", "tg.sum_to(w, None)", TypeError,
         "sum_to(shape=None) of shape (2, 3): 'NoneType' object is not iterable"),
        ("permute_dims", "an axis twice", "tg.permute_dims(w, (0, 0))", ValueError,
         "permute_dims(axes=(0, 0)) of shape (2, 3): repeated axis in transpose"),
        ("permute_dims", "too few axes", "tg.permute_dims(w, (0,))", ValueError,
         "permute_dims(axes=(0,)) of shape (2, 3): axes don't match array"),
        ("permute_dims", "an axis that does not exist", "tg.permute_dims(w, (0, 2))", AxisError,
         "permute_dims(axes=(0, 2)) of shape (2, 3): axis 2 is out of bounds for array of dimension 2"),
        ("permute_dims", "axes that are text", 'tg.permute_dims(w, "ij")', TypeError,
         "permute_dims(axes='ij') of shape (2, 3): 'str' object cannot be interpreted as an integer"),
        ("swapaxes", "an axis that does not exist", "tg.swapaxes(w, 0, 2)", AxisError,
         "swapaxes(0, 2) of shape (2, 3): axis2: axis 2 is out of bounds for array of dimension 2"),
        ("swapaxes", "an axis that is nothing", "tg.swapaxes(w, None, 0)", TypeError,
         "swapaxes(None, 0) of shape (2, 3): 'NoneType' object cannot be interpreted as an integer"),
        ("expand_dims", "an axis that does not exist", "tg.expand_dims(x, 5)", AxisError,
         "expand_dims(5) of shape (3,): axis 5 is out of bounds for array of dimension 2"),
        ("expand_dims", "an axis twice", "tg.expand_dims(x, (0, 0))", ValueError,
         "expand_dims((0, 0)) of shape (3,): repeated axis"),
        ("expand_dims", "an axis that is text", 'tg.expand_dims(x, "first")', TypeError,
         "expand_dims('first') of shape (3,): 'str' object cannot be interpreted as an integer"),
        ("squeeze", "an axis of another length", "tg.squeeze(x, 0)", ValueError,
         "squeeze(0) of shape (3,): cannot select an axis to squeeze out which has size not equal to one"),
        ("squeeze", "an axis that does not exist", "tg.squeeze(x, 5)", AxisError,
         "squeeze(5) of shape (3,): axis 5 is out of bounds for array of dimension 1"),
        ("getitem", "an index that is too large", "tg.getitem(x, 5)", IndexError,
         "getitem(index=5) of shape (3,): index 5 is out of bounds for axis 0 with size 3"),
        ("getitem", "too many indices", "x[0, 0]", IndexError,
         "getitem(index=(0, 0)) of shape (3,): too many indices for array: array is 1-dimensional, but 2 were indexed"),
        ("getitem", "an index that is text", 'x["first"]', IndexError,
         ("getitem(index='first') of shape (3,): only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and "
          "integer or boolean arrays are valid indices")),
        ("getitem", "an index that is not whole", "x[1.5]", IndexError,
         ("getitem(index=1.5) of shape (3,): only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and "
          "integer or boolean arrays are valid indices")),
        ("getitem", "a mask of another length", "x[[True, False]]", IndexError,
         "getitem(index=[True, False]) of shape (3,): boolean index did not match indexed array along ..."),
        ("pad", "a negative width", "tg.pad(x, -1)", ValueError,
         "pad(pad_width=-1) of shape (3,): index can't contain negative values"),
        ("pad", "a width that is not whole", "tg.pad(x, 1.5)", TypeError,
         "pad(pad_width=1.5) of shape (3,): `pad_width` must be of integral type."),
        ("pad", "widths for other axes", "tg.pad(x, [(1, 1), (1, 1)])", ValueError,
         ("pad(pad_width=[(1, 1), (1, 1)]) of shape (3,): operands could not be broadcast together with remapped shapes "
          "[original->remapped]: (2,2)  and requested shape (1,2)")),
        ("concat stack", "nothing", "tg.NAME(None)", TypeError,
         "what is joined must be a list or tuple of tensors, and is of type NoneType"),
        ("concat stack", "no tensors", "tg.NAME([])", ValueError,
         "there is nothing to join: the list of tensors is empty"),
        ("concat stack", "a number instead of a list", "tg.NAME(3.0)", TypeError,
         "what is joined must be a list or tuple of tensors, and is of type float"),
        ("concat stack", "text among the tensors", 'tg.NAME([x, "abc"])', TypeError, TEXT),
        ("concat", "different numbers of axes", "tg.concat([x, w])", ValueError,
         ("join(axis=0) of shapes (3,) and (2, 3): all the input arrays must have same number of dimensions, but the array "
          "at index 0 has 1 dimension(s) and the array at index 1 has 2 dimension(s)")),
        ("stack", "different numbers of axes", "tg.stack([x, w])", ValueError,
         ("join(axis=0) of shapes (1, 3) and (1, 2, 3): all the input arrays must have same number of dimensions, but the "
          "array at index 0 has 2 dimension(s) and the array at index 1 has 3 dimension(s)")),
        ("concat", "an axis that does not exist", "tg.concat([x, x], axis=5)", AxisError,
         "join(axis=5) of shapes (3,) and (3,): axis 5 is out of bounds for array of dimension 1"),
        ("stack", "an axis that does not exist", "tg.stack([x, x], axis=5)", AxisError,
         "expand_dims(5) of shape (3,): axis 5 is out of bounds for array of dimension 2"),
        ("concat", "an axis that is text", 'tg.concat([x, x], axis="rows")', TypeError,
         "join(axis='rows') of shapes (3,) and (3,): 'str' object cannot be interpreted as an integer"),
        ("stack", "an axis that is text", 'tg.stack([x, x], axis="rows")', TypeError,
         "expand_dims('rows') of shape (3,): 'str' object cannot be interpreted as an integer"),
        ("concat", "numbers without an axis", "tg.concat([1.0, 2.0])", ValueError,
         "join(axis=0) of shapes () and (): zero-dimensional arrays cannot be concatenated"),
        ("concat", "shapes that do not fit", "tg.concat([w, w.T])", ValueError,
         ("join(axis=0) of shapes (2, 3) and (3, 2): all the input array dimensions except for the concatenation axis must "
          "match exactly, but along dimension 1, the array at index 0 has size 3 and the array at index 1 has size 2")),
        ("sum norm max min argmax argmin logsumexp log_softmax", "an axis that does not exist", "tg.NAME(w, 5)", AxisError,
         "NAME(axis=5) of shape (2, 3): axis 5 is out of bounds for array of dimension 2"),
        ("mean", "an axis that does not exist", "tg.mean(w, 5)", AxisError,
         "sum(axis=5, keepdims=False) of shape (2, 3): axis 5 is out of bounds for array of dimension 2"),
        ("var std", "an axis that does not exist", "tg.NAME(w, 5)", AxisError,
         "sum(axis=5, keepdims=True) of shape (2, 3): axis 5 is out of bounds for array of dimension 2"),
        ("softmax", "an axis that does not exist", "tg.softmax(w, 5)", AxisError,
         "log_softmax(axis=5) of shape (2, 3): axis 5 is out of bounds for array of dimension 2"),
        ("sum norm max min argmax argmin logsumexp log_softmax", "an axis that is text", 'tg.NAME(w, "rows")', TypeError,
         "NAME(axis='rows') of shape (2, 3): 'str' object cannot be interpreted as an integer"),
        ("mean", "an axis that is text", 'tg.mean(w, "rows")', TypeError,
         "sum(axis='rows', keepdims=False) of shape (2, 3): 'str' object cannot be interpreted as an integer"),
        ("var std", "an axis that is text", 'tg.NAME(w, "rows")', TypeError,
         "sum(axis='rows', keepdims=True) of shape (2, 3): 'str' object cannot be interpreted as an integer"),
        ("softmax", "an axis that is text", 'tg.softmax(w, "rows")', TypeError,
         "log_softmax(axis='rows') of shape (2, 3): 'str' object cannot be interpreted as an integer"),
        (REDUCTIONS, "text", 'tg.NAME("abc")', TypeError, TEXT),
        ("sum norm max min argmax argmin logsumexp", "too many arguments", "tg.NAME(w, 0, False, 1)", TypeError,
         "NAME takes at most 3 by position, and got 4"),
        ("mean", "too many arguments", "tg.mean(w, 0, False, 1)", TypeError,
         "mean() takes from 1 to 3 positional arguments but 4 were given"),
        ("sum norm max min logsumexp", "an axis twice", "tg.NAME(w, (0, 0))", ValueError,
         "NAME(axis=(0, 0)) of shape (2, 3): duplicate value in 'axis'"),
        ("mean", "an axis twice", "tg.mean(w, (0, 0))", ValueError,
         "sum(axis=(0, 0), keepdims=False) of shape (2, 3): duplicate value in 'axis'"),
        ("sum", "an argument that does not exist", "w.sum(dim=0)", TypeError,
         "sum(dim=0) of shape (2, 3): sum() got an unexpected keyword argument 'dim'"),
        ("sum", "an axis given twice", "w.sum(0, axis=0)", TypeError,
         "dict() got multiple values for keyword argument 'axis'"),
        ("argmax argmin", "several axes", "tg.NAME(w, (0, 1))", TypeError,
         "NAME(axis=(0, 1)) of shape (2, 3): 'tuple' object cannot be interpreted as an integer"),
        ("max", "no entries", "tg.max(tg.tensor([]))", ValueError,
         "max of shape (0,): zero-size array to reduction operation maximum which has no identity"),
        ("min", "no entries", "tg.min(tg.tensor([]))", ValueError,
         "min of shape (0,): zero-size array to reduction operation minimum which has no identity"),
        ("argmax argmin", "no entries", "tg.NAME(tg.tensor([]))", ValueError,
         "NAME of shape (0,): attempt to get NAME of an empty sequence"),
        ("var std", "a ddof that is text", 'tg.NAME(w, 0, "one")', ValueError,
         "ddof must be a finite number, and is 'one'"),
        ("pad", "a dict", "tg.pad(w, {0: 1})", TypeError,
         "pad(pad_width={0: 1}) of shape (2, 3): `pad_width` must be of integral type."),
        ("gradgradcheck", "a place where nothing is recorded", "tg.no_grad()(tg.gradgradcheck)(tg.sin, x)", ValueError,
         "under no_grad() nothing is connected, and there would be nothing to check"),
        ("matmul", "shapes that do not fit", "tg.matmul(w, w)", ValueError,
         ("product of shapes (2, 3) and (2, 3): a matrix product takes shapes (..., n, k) and (..., k, m), with axes ... "
          "that can be broadcast, and got (2, 3) and (2, 3)")),
        ("matmul", "batches that do not fit", "tg.matmul(np.ones((2, 3, 4)), np.ones((3, 4, 5)))", ValueError,
         ("product of shapes (2, 3, 4) and (3, 4, 5): a matrix product takes shapes (..., n, k) and (..., k, m), with axes "
          "... that can be broadcast, and got (2, 3, 4) and (3, 4, 5)")),
        ("matmul", "vectors of different lengths", "tg.matmul(x, [1.0, 2.0])", ValueError,
         ("product of shapes (1, 3) and (2, 1): a matrix product takes shapes (..., n, k) and (..., k, m), with axes ... "
          "that can be broadcast, and got (1, 3) and (2, 1)")),
        ("matmul", "a number", "tg.matmul(2.0, w)", ValueError,
         "matmul takes no scalars, and got shapes () and (2, 3): use * instead"),
        ("matmul outer", "text", 'tg.NAME(x, "abc")', TypeError, TEXT),
        ("matmul outer", "too many arguments", "tg.NAME(x, x, x)", TypeError,
         "NAME() takes 2 positional arguments but 3 were given"),
        ("einsum", "no subscripts", 'tg.einsum(w, "ij->i")', TypeError,
         "einsum takes subscripts such as 'ij,jk->ik' first, and got a Tensor"),
        ("einsum", "too few operands", 'tg.einsum("ij,jk->ik", w)', ValueError,
         "einsum got 1 operands for the 2 terms of 'ij,jk->ik'"),
        ("einsum", "lengths that do not fit", 'tg.einsum("ij,jk->ik", w, w)', ValueError,
         ("contract(subscripts=(('ij', 'jk'), 'ik')) of shapes (2, 3) and (2, 3): Size of label 'j' for operand 1 (3) does "
          "not match previous terms (2).")),
        ("einsum", "a letter that is in no term", 'tg.einsum("ij->q", w)', ValueError,
         ("einsum cannot read 'ij->q': it takes terms of letters and '...', joined by commas, then '->' and once each the "
          "letters to keep")),
        ("einsum", "too few letters", 'tg.einsum("i->i", w)', ValueError,
         "einsum got a tensor of shape (2, 3) for the term 'i': it needs a letter for each axis"),
        ("einsum", "too many letters", 'tg.einsum("ijk->ij", w)', ValueError,
         "einsum got a tensor of shape (2, 3) for the term 'ijk': it needs a letter for each axis"),
        ("einsum", "the diagonal of a matrix that is not square", 'tg.einsum("ii->i", w)', ValueError,
         ("einsum takes the diagonal where a letter stands twice, as 'i' in 'ii', and the axes of shape (2, 3) are not "
          "equally long")),
        ("einsum", "something else than letters", 'tg.einsum("i1->i", w)', ValueError,
         ("einsum cannot read 'i1->i': it takes terms of letters and '...', joined by commas, then '->' and once each the "
          "letters to keep")),
        ("einsum", "two arrows", 'tg.einsum("i->j->i", x)', ValueError,
         ("einsum cannot read 'i->j->i': it takes terms of letters and '...', joined by commas, then '->' and once each the "
          "letters to keep")),
        ("windows", "no image", "tg.windows(x, 2)", ValueError,
         ("windows(size=2) of shape (3,): windows of 2 by 2 pixels, 1 apart, do not fit an array of shape (3,): it must be "
          "(..., height, width, channels), and large enough for one window")),
        ("windows", "an image that is too small", "tg.windows(np.ones((4, 4, 1)), 5)", ValueError,
         ("windows(size=5) of shape (4, 4, 1): windows of 5 by 5 pixels, 1 apart, do not fit an array of shape (4, 4, 1): "
          "it must be (..., height, width, channels), and large enough for one window")),
        ("windows", "a stride of zero", "tg.windows(np.ones((4, 4, 1)), 2, 0)", ValueError,
         ("windows(size=2, stride=0) of shape (4, 4, 1): windows of 2 by 2 pixels, 0 apart, do not fit an array of shape "
          "(4, 4, 1): it must be (..., height, width, channels), and large enough for one window")),
        ("windows", "a size that is not whole", "tg.windows(np.ones((4, 4, 1)), 1.5)", ValueError,
         "windows(size=1.5) of shape (4, 4, 1): size must be a whole number, at least 0, and is 1.5"),
        ("windows", "a size that is text", 'tg.windows(np.ones((4, 4, 1)), "large")', ValueError,
         "windows(size='large') of shape (4, 4, 1): size must be a whole number, at least 0, and is 'large'"),
        ("overlap_add", "windows for another shape", "tg.overlap_add(np.ones((1, 2, 4)), (3, 3, 1), 2)", ValueError,
         ("overlap_add(shape=(3, 3, 1), size=2) of shape (1, 2, 4): overlap_add makes the shape (3, 3, 1) of windows of "
          "shape (2, 2, 4), and got (1, 2, 4)")),
        ("overlap_add", "no size", "tg.overlap_add(np.ones((1, 2, 4)), (2, 3, 1), None)", ValueError,
         "overlap_add(shape=(2, 3, 1), size=None) of shape (1, 2, 4): size must be a whole number, at least 0, and is None"),
    ],
    "Gradients": [
        ("grad", "more than one number", "tg.grad(x, x)", ValueError,
         ("grad of an output with shape (3,) needs grad_outputs of that shape: without it, only a single number can be "
          "differentiated, for instance out.sum()")),
        ("grad", "something else than a tensor", 'tg.grad(x.sum(), "x")', TypeError,
         "grad takes tensors, and inputs[0] is of type str"),
        ("grad", "the value of a result", "tg.grad(x.sum().item(), x)", TypeError,
         "grad takes tensors, and outputs[0] is of type float"),
        ("grad", "integers to differentiate by", "tg.grad(x.sum(), n)", TypeError,
         ("grad needs a real floating-point tensor, and this one has dtype int64: make it with dtype=float, or leave it out "
          "of what you differentiate by")),
        ("grad", "integers to differentiate", "tg.grad(n.sum(), x)", TypeError,
         ("grad needs a real floating-point tensor, and this one has dtype int64: make it with dtype=float, or leave it out "
          "of what you differentiate by")),
        ("grad", "something that the result does not depend on", "tg.grad(x.sum(), w)", ValueError,
         ("there is no gradient for input 0 (w) of shape (2, 3): the outputs do not depend on it, or only through "
          "what has no derivative, such as a comparison, detach() or no_grad(). Say allow_unused=True to get None instead")),
        ("grad", "something that requires no gradient", "tg.grad(x.sum(), x.detach())", ValueError,
         ("there is no gradient for input 0 (x) of shape (3,): it does not require a gradient: make it with "
          "requires_grad=True before computing the outputs. Say allow_unused=True to get None instead")),
        ("grad", "a first gradient of another shape", "tg.grad(x, x, grad_outputs=np.ones(2))", ValueError,
         "grad_outputs has shape (2,) for an output of shape (3,): they must be the same"),
        ("grad", "too many first gradients", "tg.grad(x, x, grad_outputs=[np.ones(3), np.ones(3)])", ValueError,
         "grad got 1 outputs and 2 grad_outputs: one is needed for each"),
        ("grad", "a compiled result, which has no graph", "tg.grad(tg.compile(tg.sum)(x), x)", RuntimeError,
         ("the derivative rule of compiled for its input 0 failed (inputs of shape (3,), result ()): what a compiled function "
          "returns has no graph: differentiate inside of the function that is compiled, call the one that is not, or detach() "
          "the result")),
        ("no_grad", "an argument", "tg.no_grad(True)", TypeError,
         "no_grad() takes 0 positional arguments but 1 was given"),
        ("detect_anomaly", "an argument", "tg.detect_anomaly(True)", TypeError,
         "detect_anomaly() takes no arguments"),
        ("detect_anomaly", "a root of a negative number", "anomalous(lambda: tg.sqrt(x - 2))", AnomalyError,
         "sqrt made nan at index (0,), in ..., line 1"),
    ],
    "Derivatives of functions": [
        ("func.grad func.value_and_grad func.jacobian func.hessian", "something else than a function",
         "tg.NAME(3)(1.0)", TypeError,
         "what is differentiated must be a function, and is of type int"),
        ("func.grad func.value_and_grad func.jacobian func.hessian", "an integer to differentiate by",
         "tg.NAME(tg.sin)(1)", TypeError,
         ("differentiating by an argument needs a real floating-point tensor, and this one has dtype int64: make it with "
          "dtype=float, or leave it out of what you differentiate by")),
        ("func.grad func.value_and_grad func.jacobian func.hessian", "an array of integers", "tg.NAME(tg.sin)(n)", TypeError,
         ("differentiating by an argument needs a real floating-point tensor, and this one has dtype int64: make it with "
          "dtype=float, or leave it out of what you differentiate by")),
        ("func.grad func.value_and_grad func.jacobian func.hessian", "text to differentiate by",
         'tg.NAME(tg.sin)("abc")', TypeError,
         TEXT),
        ("func.grad func.value_and_grad func.jacobian func.hessian", "an argument that does not exist",
         "tg.NAME(tg.sin, argnums=1)(1.0)", ValueError,
         "argnums must be places among the 1 arguments, counted from 0, and is 1"),
        ("func.grad func.value_and_grad func.jacobian func.hessian", "an argument by name",
         'tg.NAME(tg.sin, argnums="x")(1.0)', ValueError,
         "argnums must be places among the 1 arguments, counted from 0, and is 'x'"),
        ("func.grad func.value_and_grad func.hessian", "more than one number", "tg.NAME(tg.sin)(x)", ValueError,
         ("grad takes a function that returns a single number, and this one returned shape (3,): use vjp or jacobian, or "
          "add up its result")),
        ("func.grad func.jacobian", "a function that reads the value", "tg.NAME(lambda x: x.item())(1.0)", ValueError,
         ("NAME: the function's result does not depend on argument leaf 0 of shape (). Leave it out of what you "
          "differentiate by; or, if it was cut off by .numpy(), .data or detach(), use operations instead")),
        ("func.value_and_grad func.hessian", "a function that reads the value", "tg.NAME(lambda x: x.item())(1.0)", ValueError,
         ("grad: the function's result does not depend on argument leaf 0 of shape (). Leave it out of what you "
          "differentiate by; or, if it was cut off by .numpy(), .data or detach(), use operations instead")),
        ("func.grad func.value_and_grad func.jacobian func.hessian", "a function that returns nothing",
         "tg.NAME(lambda x: None)(1.0)", TypeError,
         NOTHING),
        ("func.vjp", "something else than a function", "tg.func.vjp(3, x)", TypeError,
         "what is differentiated must be a function, and is of type int"),
        ("func.vjp", "integers", "tg.func.vjp(tg.sin, n)", TypeError,
         ("differentiating by an argument needs a real floating-point tensor, and this one has dtype int64: make it with "
          "dtype=float, or leave it out of what you differentiate by")),
        ("func.vjp", "a result without a derivative", "tg.func.vjp(lambda x: x > 0, x)", ValueError,
         ("vjp: the function's result does not depend on argument leaf 0 of shape (3,). Leave it out of what you "
          "differentiate by; or, if it was cut off by .numpy(), .data or detach(), use operations instead")),
        ("func.vjp", "a cotangent of another shape", "tg.func.vjp(tg.sin, x)[1](np.ones(2))", ValueError,
         "a vector of shape (2,) was given where one of shape (3,) is due"),
        ("func.vjp", "a cotangent of another structure", "tg.func.vjp(tg.sin, x)[1]([np.ones(3)])", ValueError,
         ("two structures of tensors are not built alike: the structure is a leaf in one and a list of length 1 in the "
          "other")),
        ("func.jvp", "more tangents than arguments", "tg.func.jvp(tg.sin, (1.0,), (2.0, 3.0))", ValueError,
         ("two structures of tensors are not built alike: the structure is a list of length 1 in one and a list of length 2 "
          "in the other")),
        ("func.jvp", "a tangent of another shape", "tg.func.jvp(tg.sin, (x,), (np.ones(2),))", ValueError,
         "a vector of shape (2,) was given where one of shape (3,) is due"),
        ("func.jvp", "an argument that is not in a tuple", "tg.func.jvp(tg.sin, 1.0, 1.0)", TypeError,
         "primals must be a tuple with one entry for each argument, and is of type float"),
        ("func.jvp", "an integer", "tg.func.jvp(tg.sin, (1,), (1.0,))", TypeError,
         ("differentiating by an argument needs a real floating-point tensor, and this one has dtype int64: make it with "
          "dtype=float, or leave it out of what you differentiate by")),
        ("func.hvp", "another structure", "tg.func.hvp(tg.sin, 1.0, [1.0])", ValueError,
         ("two structures of tensors are not built alike: the structure is a leaf in one and a list of length 1 in the "
          "other")),
        ("func.hvp", "another shape", "tg.func.hvp(lambda x: tg.sum(x**3), x, np.ones(2))", ValueError,
         "a vector of shape (2,) was given where one of shape (3,) is due"),
        ("func.hvp", "a function of more than one number", "tg.func.hvp(tg.sin, x, np.ones(3))", ValueError,
         ("grad takes a function that returns a single number, and this one returned shape (3,): use vjp or jacobian, or "
          "add up its result")),
        ("func.hvp", "an integer", "tg.func.hvp(tg.sin, 1, 1)", TypeError,
         ("differentiating by an argument needs a real floating-point tensor, and this one has dtype int64: make it with "
          "dtype=float, or leave it out of what you differentiate by")),
        ("func.checkpoint", "something else than a function", "tg.func.checkpoint(3)(x)", TypeError,
         "what is recomputed must be a function, and is of type int"),
        ("func.checkpoint", "a captured tensor", "tg.func.checkpoint(lambda x: x * w.sum())(x)", ValueError,
         ("a function under checkpoint uses a tensor (w) of shape (2, 3) that requires a gradient and is none of its "
          "arguments, so that its gradient would be lost: pass it as an argument")),
        ("func.checkpoint", "two dtypes",
         'tg.func.checkpoint(lambda x, y: x * y)(x, tg.tensor(1.0, "float32", True))', TypeError,
         ("checkpoint joins what a function is differentiated by, and its results, to vectors of one dtype, and got float32 "
          "and float64: convert them with astype outside of it")),
    ],
    "Gradient checks": [
        ("gradcheck gradgradcheck", "something else than a function", "tg.NAME(3, x)", TypeError,
         "what is checked must be a function, and is of type int"),
        ("gradcheck gradgradcheck", "integers", "tg.NAME(tg.sin, n)", ValueError,
         "there is no input to differentiate by: give at least one of a floating-point dtype"),
        ("gradcheck gradgradcheck", "no inputs", "tg.NAME(tg.sin, [])", ValueError,
         "there is no input to differentiate by: give at least one of a floating-point dtype"),
        ("gradcheck gradgradcheck", "text", 'tg.NAME(tg.sin, "abc")', TypeError, TEXT),
        ("gradcheck gradgradcheck", "a function that returns a number", "tg.NAME(lambda x: x.item(), 1.0)", TypeError,
         "a function to be checked returns tensors, and this one returned a float"),
        ("gradcheck gradgradcheck", "a result without a derivative", "tg.NAME(lambda x: x > 0, x)", ValueError,
         "there is no output to differentiate: the function returned no floating-point tensor"),
        ("gradcheck gradgradcheck", "a step of 0", "tg.NAME(tg.sin, x, eps=0)", ValueError,
         "eps must be a finite number, greater than 0, and is 0"),
        ("gradcheck gradgradcheck", "a negative step", "tg.NAME(tg.sin, x, eps=-1e-6)", ValueError,
         "eps must be a finite number, greater than 0, and is -1e-06"),
        ("gradcheck gradgradcheck", "a negative tolerance", "tg.NAME(tg.sin, x, atol=-1)", ValueError,
         "atol must be a finite number, at least 0, and is -1"),
        ("gradcheck gradgradcheck", "a tolerance that is no number", 'tg.NAME(tg.sin, x, rtol=float("nan"))', ValueError,
         "rtol must be a finite number, at least 0, and is nan"),
        ("gradcheck gradgradcheck", "a seed that is text", 'tg.NAME(tg.sin, x, rng="seed")', TypeError, SEED),
        ("gradgradcheck", "a first gradient of another shape",
         "tg.gradgradcheck(tg.sin, x, grad_outputs=np.ones(2))", ValueError,
         "grad_outputs has shape (2,) for an output of shape (3,): they must be the same"),
        ("gradgradcheck", "a function that cuts the graph off", "tg.gradgradcheck(lambda x: tg.sin(x.detach()), x)",
         GradcheckError,
         ("the derivative of a random combination of the outputs by input 0 (x) in a random direction is 0 by the rules and "
          "... Likely cause: the output is not connected to this input: detach(), .data, .numpy() or no_grad() cut it off from "
          "the graph")),
    ],
    "Graphs": [
        ("explain graph.trace", "something else than a tensor", "tg.NAME(3)", TypeError,
         "trace takes a tensor, and this is of type int"),
        ("explain graph.trace", "a tensor without a graph", "tg.NAME(n)", ValueError,
         ("trace takes a tensor that was computed from something with requires_grad=True, and not under no_grad(); a "
          "gradient remembers its graph if it was computed with create_graph=True")),
        ("explain graph.trace", "more than one number", "tg.NAME(tg.sin(x))", ValueError,
         "trace takes a tensor with one element, such as F.sum(), and this one has shape (3,)"),
        ("graph.expression", "something else than a tensor", 'tg.graph.expression("x + 1")', TypeError,
         "expression takes a tensor, and got a str"),
        ("draw graph.draw", "something else than a tensor", 'tg.NAME(3, "graph.svg")', TypeError,
         "what is drawn is a tensor, and this is of type int"),
        ("draw graph.draw", "a tensor without a graph", 'tg.NAME(x.detach(), "graph.svg")', ValueError,
         ("this tensor does not remember an operation that made it: make the inputs with requires_grad=True, and compute it "
          "outside no_grad()")),
        ("draw graph.draw", "another kind of file", 'tg.NAME(x.sum(), "graph.pdf")', ValueError,
         "pictures are written to a path ending in .svg or .png, and got 'graph.pdf'"),
        ("draw graph.draw", "no path", "tg.NAME(x.sum(), None)", ValueError,
         "pictures are written to a path ending in .svg or .png, and got None"),
        ("draw graph.draw", "a folder that does not exist", 'tg.NAME(x.sum(), "no/such/folder/graph.svg")', FileNotFoundError,
         "[Errno 2] No such file or directory: 'no/such/folder/graph.svg'"),
        ("draw graph.draw", "an order of 0", 'tg.NAME(x.sum(), "graph.svg", order=0)', ValueError,
         "order is 1 for the graph of F, 2 for that of its gradient, ..., and got 0"),
        ("draw graph.draw", "an order that is not whole", 'tg.NAME(x.sum(), "graph.svg", order=1.5)', ValueError,
         "order is 1 for the graph of F, 2 for that of its gradient, ..., and got 1.5"),
        ("draw graph.draw", "a scope that does not exist", 'tg.NAME(x.sum(), "graph.svg", fold="inner")', ValueError,
         "there is no scope 'inner' to fold: this graph has none"),
        ("draw graph.draw", "a number in place of a scope", 'tg.NAME(x.sum(), "graph.svg", fold=3)', TypeError,
         "fold is the name of a scope, a collection of names, or True, and got 3"),
        ("draw graph.draw", "too large a graph", 'tg.NAME(sum([x * i for i in range(200)]).sum(), "graph.svg")', ValueError,
         ("this graph has 402 boxes, and more than 300 explain nothing: name parts of it, with tg.graph.scope('a name'), "
          "and say fold=True")),
        ("graph.animate", "something else than a tensor", 'tg.graph.animate(3, "graph.html")', TypeError,
         "what is drawn is a tensor, and this is of type int"),
        ("graph.animate", "a tensor without a graph", 'tg.graph.animate(x.detach(), "graph.html")', ValueError,
         ("this tensor does not remember an operation that made it: make the inputs with requires_grad=True, and compute it "
          "outside no_grad()")),
        ("graph.animate", "another kind of file", 'tg.graph.animate(x.sum(), "graph.svg")', ValueError,
         "pictures are written to a path ending in .html or .gif, and got 'graph.svg'"),
        ("graph.animate", "a scope that does not exist", 'tg.graph.animate(x.sum(), "graph.html", fold="inner")', ValueError,
         "there is no scope 'inner' to fold: this graph has none"),
        ("graph.scope", "no name", 'tg.graph.scope("").__enter__()', TypeError,
         "a scope has a name, for instance scope('inner step 1'), and got ''"),
        ("graph.scope", "a number for a name", "tg.graph.scope(3).__enter__()", TypeError,
         "a scope has a name, for instance scope('inner step 1'), and got 3"),
        ("compile graph.compile", "something else than a function", "tg.NAME(3)", TypeError,
         "what is compiled must be a function, and is of type int"),
        ("compile graph.compile", "a function that reads a value", "tg.NAME(lambda x: x.item())(x)", TypeError,
         ("a value was read while a function was being recorded (.item(), .numpy(), .data, float, if, ...); the recording "
          "would hold for this one value only. Decide with tg.where, or move the reading out of the compiled function")),
        ("compile graph.compile", "a function that decides by a value",
         "tg.NAME(lambda x: x if x.sum() > 0 else -x)(x)", TypeError,
         ("a value was read while a function was being recorded (.item(), .numpy(), .data, float, if, ...); the recording "
          "would hold for this one value only. Decide with tg.where, or move the reading out of the compiled function")),
        ("compile graph.compile", "a function that draws random numbers",
         "tg.NAME(lambda x: x * np.random.random())(x)", ValueError,
         ("<lambda> does not do the same twice: something in it changes from call to call, such as random numbers. Draw "
          "them outside and pass them in as arguments")),
        ("compile graph.compile", "an argument that cannot be compared", "tg.NAME(lambda x: x)({1, 2})", TypeError,
         ("a compiled function takes arrays, structures of them, and constants that can be compared by hash; this argument "
          "is of type set")),
        ("compile graph.compile", "text instead of numbers", 'tg.NAME(tg.sin)("abc")', TypeError, TEXT),
        ("compile graph.compile", "a program that does not exist yet", "tg.NAME(tg.sin).program", ValueError,
         "nothing has been recorded yet: call the compiled function first"),
    ],
    "Neural networks": [
        ("nn.glorot_uniform nn.he_normal nn.truncated_normal", "a shape with one axis", "tg.NAME(0, (3,))", ValueError,
         "weights have a shape that ends in (inputs, outputs), and got (3,)"),
        ("nn.glorot_uniform nn.he_normal nn.truncated_normal", "a number for a shape", "tg.NAME(0, 3)", ValueError,
         "weights have a shape that ends in (inputs, outputs), and got 3"),
        ("nn.glorot_uniform nn.he_normal nn.truncated_normal", "a negative length", "tg.NAME(0, (-3, 3))", ValueError,
         "an entry of a weight's shape must be a whole number, at least 1, and is -3"),
        ("nn.glorot_uniform nn.he_normal nn.truncated_normal", "a dtype of integers", "tg.NAME(0, (3, 3), int)", TypeError,
         "dtype must be a floating-point type such as float32, and is int64"),
        ("nn.glorot_uniform nn.he_normal nn.truncated_normal", "a seed that is text", 'tg.NAME("seed", (3, 3))', TypeError,
         SEED),
        ("nn.truncated_normal", "a negative standard deviation", "tg.nn.truncated_normal(0, (3, 3), std=-1)", ValueError,
         "std must be a finite number, at least 0, and is -1"),
        ("nn.init_mlp nn.init_conv_net nn.MLP", "a single size", "tg.NAME([1])", ValueError,
         "a network needs a list of at least an input and an output size, each a whole number, 1 or more, and got [1]"),
        ("nn.init_mlp nn.init_conv_net nn.MLP", "a number for sizes", "tg.NAME(3)", ValueError,
         "a network needs a list of at least an input and an output size, each a whole number, 1 or more, and got 3"),
        ("nn.init_mlp nn.init_conv_net nn.MLP", "a size of 0", "tg.NAME([1, 0, 1])", ValueError,
         ("a network needs a list of at least an input and an output size, each a whole number, 1 or more, and got [1, 0, "
          "1]")),
        ("nn.init_mlp nn.init_conv_net nn.MLP", "a size that is not whole", "tg.NAME([1, 2.5, 1])", ValueError,
         ("a network needs a list of at least an input and an output size, each a whole number, 1 or more, and got [1, 2.5, "
          "1]")),
        ("nn.init_mlp nn.init_conv_net nn.MLP", "a size that is text", 'tg.NAME([1, "wide", 1])', ValueError,
         ("a network needs a list of at least an input and an output size, each a whole number, 1 or more, and got [1, "
          "'wide', 1]")),
        ("nn.init_mlp nn.init_conv_net nn.MLP", "a seed that is text", 'tg.NAME([1, 4, 1], rng="seed")', TypeError, SEED),
        ("nn.init_mlp nn.init_conv_net nn.MLP", "a negative seed", "tg.NAME([1, 4, 1], rng=-1)", ValueError,
         "rng must be a NumPy generator, a seed (a whole number from 0) or None, and is -1"),
        ("nn.init_mlp nn.init_conv_net nn.MLP", "an initialiser that does not exist",
         'tg.NAME([1, 4, 1], initializer="xavier")', ValueError,
         "there is no initializer called 'xavier': choose one of glorot, he, truncated_normal, or pass a function"),
        ("nn.init_mlp nn.init_conv_net nn.MLP", "a dtype of integers", "tg.NAME([1, 4, 1], dtype=int)", TypeError,
         "dtype must be a floating-point type such as float32, and is int64"),
        ("nn.init_mlp nn.init_conv_net nn.MLP", "a dtype that does not exist",
         'tg.NAME([1, 4, 1], dtype="float33")', TypeError,
         "data type 'float33' not understood"),
        ("nn.mlp", "no parameters", "tg.nn.mlp([], np.ones((3, 1)))", ValueError,
         ("the parameters of a network must be a list with one (weight, bias) for each layer, and are of type list of "
          "length 0")),
        ("nn.mlp", "something else than parameters", "tg.nn.mlp(None, np.ones((3, 1)))", ValueError,
         "the parameters of a network must be a list with one (weight, bias) for each layer, and are of type NoneType"),
        ("nn.mlp", "a layer without a bias", "tg.nn.mlp([(w,)], np.ones((3, 2)))", ValueError,
         "the parameters of layer 0 must be a pair (weight, bias), and are of type tuple of length 1"),
        ("nn.mlp", "inputs of another size", "tg.nn.mlp(params, np.ones((3, 2)))", ValueError,
         ("product of shapes (3, 2) and (1, 4): a matrix product takes shapes (..., n, k) and (..., k, m), with axes ... "
          "that can be broadcast, and got (3, 2) and (1, 4)")),
        ("nn.mlp", "text", 'tg.nn.mlp(params, "abc")', TypeError, TEXT),
        ("nn.mlp", "an activation that does not exist", 'tg.nn.mlp(params, np.ones((3, 1)), activation="rellu")', ValueError,
         ("there is no activation called 'rellu': choose one of relu, tanh, sigmoid, softplus, silu, leaky_relu, sin, or "
          "pass a function")),
        ("nn.mlp", "an activation that is a list", 'tg.nn.mlp(params, np.ones((3, 1)), activation=["relu"])', ValueError,
         ("there is no activation called ['relu']: choose one of relu, tanh, sigmoid, softplus, silu, leaky_relu, sin, or "
          "pass a function")),
        ("nn.MLP", "an activation that does not exist", 'tg.nn.MLP([1, 4, 1], "rellu")', ValueError,
         ("there is no activation called 'rellu': choose one of relu, tanh, sigmoid, softplus, silu, leaky_relu, sin, or "
          "pass a function")),
        ("nn.MLP", "inputs of another size", "tg.nn.MLP([1, 4, 1], rng=0)(np.ones((3, 2)))", ValueError,
         ("product of shapes (3, 2) and (1, 4): a matrix product takes shapes (..., n, k) and (..., k, m), with axes ... "
          "that can be broadcast, and got (3, 2) and (1, 4)")),
        ("nn.conv_net", "no axis of points", "tg.nn.conv_net(tg.nn.init_conv_net([1, 4], rng=0), np.ones((8, 8)))", ValueError,
         "conv_net takes images of shape (..., points, height, width), and got shape (8, 8)"),
        ("nn.conv_net", "images with other channels",
         "tg.nn.conv_net(tg.nn.init_conv_net([3, 4], rng=0), np.ones((2, 8, 8)))", ValueError,
         ("a convolution takes images (..., points, height, width, channels), a weight (..., 9 * channels, outputs) and a "
          "stride from 1, and got shapes (2, 8, 8, 1) and (27, 4) and stride 2")),
        ("nn.conv_net", "a downsampling that does not exist",
         'tg.nn.conv_net(tg.nn.init_conv_net([1, 4], rng=0), np.ones((2, 8, 8)), "half")', ValueError,
         ("downsampling is one of ('stride', 'pool', None), or a sequence with one of them for each of the 1 layers, and "
          "got 'half'")),
        ("nn.conv_net", "a downsampling that is a number",
         "tg.nn.conv_net(tg.nn.init_conv_net([1, 4], rng=0), np.ones((2, 8, 8)), 2)", ValueError,
         ("downsampling is one of ('stride', 'pool', None), or a sequence with one of them for each of the 1 layers, and "
          "got 2")),
        ("nn.conv_net", "no parameters", "tg.nn.conv_net([], np.ones((2, 8, 8)))", ValueError,
         ("the parameters of a network must be a list with one (weight, bias) for each layer, and are of type list of "
          "length 0")),
        ("nn.convolution", "no axis of points",
         "tg.nn.convolution(np.ones((8, 8, 1)), np.ones((9, 4)), np.ones((1, 4)))", ValueError,
         ("a convolution takes images (..., points, height, width, channels), a weight (..., 9 * channels, outputs) and a "
          "stride from 1, and got shapes (8, 8, 1) and (9, 4) and stride 1")),
        ("nn.convolution", "a weight for other channels",
         "tg.nn.convolution(np.ones((2, 8, 8, 1)), np.ones((8, 4)), np.ones((1, 4)))", ValueError,
         ("a convolution takes images (..., points, height, width, channels), a weight (..., 9 * channels, outputs) and a "
          "stride from 1, and got shapes (2, 8, 8, 1) and (8, 4) and stride 1")),
        ("nn.convolution", "a bias of another size",
         "tg.nn.convolution(np.ones((2, 8, 8, 1)), np.ones((9, 4)), np.ones((1, 3)))", ValueError,
         "add of shapes (128, 4) and (1, 3): operands could not be broadcast together with shapes (128,4) (1,3)"),
        ("nn.convolution", "a stride that is not whole",
         "tg.nn.convolution(np.ones((2, 8, 8, 1)), np.ones((9, 4)), np.ones((1, 4)), 1.5)", ValueError,
         "stride must be a whole number, at least 0, and is 1.5"),
        ("nn.convolution", "weights for another number of tasks",
         "tg.nn.convolution(np.ones((3, 2, 8, 8, 1)), np.ones((2, 9, 4)), np.ones((1, 4)))", ValueError,
         ("convolve(stride=1) of shapes (3, 2, 8, 8, 1) and (2, 9, 4): shape mismatch: objects cannot be broadcast to a "
          "single shape.  Mismatch is between arg 0 with shape (3,) and arg 1 with shape (2,).")),
        ("nn.layer_norm", "an axis that does not exist", "tg.nn.layer_norm(x, axis=3)", AxisError,
         "sum(axis=3, keepdims=True) of shape (3,): axis 3 is out of bounds for array of dimension 1"),
        ("nn.layer_norm", "a negative epsilon", "tg.nn.layer_norm(x, epsilon=-1)", ValueError,
         "epsilon must be a finite number, at least 0, and is -1"),
        ("nn.layer_norm", "text", 'tg.nn.layer_norm("abc")', TypeError, TEXT),
        ("nn.max_pool", "no image", "tg.nn.max_pool(x)", ValueError,
         "max_pool takes images of shape (..., height, width, channels) with at least 2 by 2 pixels, and got shape (3,)"),
        ("nn.max_pool", "too small an image", "tg.nn.max_pool(np.ones((1, 1, 1)))", ValueError,
         ("max_pool takes images of shape (..., height, width, channels) with at least 2 by 2 pixels, and got shape (1, 1, "
          "1)")),
        ("nn.mse_loss", "shapes that would be broadcast", "tg.nn.mse_loss(np.ones((3, 1)), np.ones(3))", ValueError,
         ("mse_loss compares arrays of one shape, and got predictions (3, 1) and targets (3,): broadcasting them would "
          "compare every point with every other")),
        ("nn.mse_loss", "nothing to compare with", "tg.nn.mse_loss(x, None)", TypeError, NOTHING),
        ("nn.cross_entropy nn.accuracy", "a label that is too large", "tg.NAME(np.ones((4, 2)), [0, 1, 2, 0])", ValueError,
         "got labels from 0 to 2 for 2 classes: they must lie between 0 and 1"),
        ("nn.cross_entropy nn.accuracy", "a negative label", "tg.NAME(np.ones((4, 2)), [0, 1, -1, 0])", ValueError,
         "got labels from -1 to 1 for 2 classes: they must lie between 0 and 1"),
        ("nn.cross_entropy nn.accuracy", "labels that are not integers",
         "tg.NAME(np.ones((4, 2)), [0.0, 1.0, 1.0, 0.0])", ValueError,
         "labels are integers from 0 to 1, and these are float64 of shape (4,)"),
        ("nn.cross_entropy nn.accuracy", "labels that are booleans",
         "tg.NAME(np.ones((4, 2)), [True, False, True, True])", ValueError,
         "labels are integers from 0 to 1, and these are bool of shape (4,)"),
        ("nn.cross_entropy nn.accuracy", "labels that are text", 'tg.NAME(np.ones((4, 2)), ["a", "b", "a", "b"])', TypeError,
         ("a tensor holds numbers, and this data has dtype <U1: convert it first (to ask whether something is None, write "
          "`is None`)")),
        ("nn.cross_entropy nn.accuracy", "too few labels", "tg.NAME(np.ones((4, 2)), [0, 1])", ValueError,
         "logits of shape (4, 2) take integer labels of shape (4,), and got int64 of shape (2,)"),
        ("nn.cross_entropy nn.accuracy", "one-hot labels", "tg.NAME(np.ones((4, 2)), np.eye(2)[[0, 1, 0, 1]])", ValueError,
         "logits of shape (4, 2) take integer labels of shape (4,), and got float64 of shape (4, 2)"),
        ("nn.cross_entropy nn.accuracy", "a single number", "tg.NAME(1.0, 0)", ValueError,
         "logits must have an axis, the last one, with an entry for each class, and are a single number"),
        ("nn.cross_entropy", "no classes", "tg.nn.cross_entropy(np.ones((4, 0)), [0, 0, 0, 0])", ValueError,
         "the number of classes must be a whole number, at least 1, and is 0"),
        ("nn.accuracy", "no classes", "tg.nn.accuracy(np.ones((4, 0)), [0, 0, 0, 0])", ValueError,
         "argmax(axis=-1) of shape (4, 0): attempt to get argmax of an empty sequence"),
        ("nn.one_hot", "a label that is too large", "tg.nn.one_hot([0, 3], 3)", ValueError,
         "got labels from 0 to 3 for 3 classes: they must lie between 0 and 2"),
        ("nn.one_hot", "labels that are not integers", "tg.nn.one_hot([0.0, 1.0], 3)", ValueError,
         "labels are integers from 0 to 2, and these are float64 of shape (2,)"),
        ("nn.one_hot", "a number of classes that is not whole", "tg.nn.one_hot([0, 1], 2.5)", ValueError,
         "the number of classes must be a whole number, at least 1, and is 2.5"),
        ("nn.one_hot", "a number of classes that is text", 'tg.nn.one_hot([0, 1], "two")', ValueError,
         "the number of classes must be a whole number, at least 1, and is 'two'"),
        ("nn.one_hot", "a dtype that is not one of numbers", "tg.nn.one_hot([0, 1], 3, dtype=str)", TypeError,
         "a tensor holds numbers, and dtype <U0 is none of numbers"),
        ("nn.Module", "a model without forward", "tg.nn.Module()(x)", NotImplementedError,
         "Module defines no forward(self, x), which says what it computes"),
        ("nn.Module.forward", "a model without forward", "tg.nn.Module().forward(x)", NotImplementedError,
         "Module defines no forward(self, x), which says what it computes"),
        ("nn.Module.load_state_dict", "a missing tensor", 'model.load_state_dict({"weight": np.ones((2, 3))})', ValueError,
         "the state does not fit the module: missing ['bias'], unknown []"),
        ("nn.Module.load_state_dict", "another shape",
         'model.load_state_dict({"weight": np.ones((2, 2)), "bias": np.ones((1, 3))})', ValueError,
         "the state does not fit the module: weight has shape (2, 2) there and (2, 3) here"),
        ("nn.Module.load_state_dict", "another kind of dtype",
         'model.load_state_dict({"weight": np.ones((2, 3), complex), "bias": np.ones((1, 3))})', TypeError,
         "the state does not fit the module: weight has dtype complex128 there and float64 here"),
        ("nn.Module.load_state_dict", "something else than a dict", "model.load_state_dict(None)", TypeError,
         "a state is a dict of name and array, and this is of type NoneType"),
        ("nn.Linear", "no outputs", "tg.nn.Linear(2, 0)", ValueError,
         "a network needs a list of at least an input and an output size, each a whole number, 1 or more, and got [2, 0]"),
        ("nn.Linear", "a size that is not whole", "tg.nn.Linear(2.5, 3)", ValueError,
         "a network needs a list of at least an input and an output size, each a whole number, 1 or more, and got [2.5, 3]"),
        ("nn.Linear", "a seed that is text", 'tg.nn.Linear(2, 3, rng="seed")', TypeError, SEED),
        ("nn.Linear", "inputs of another size", "model(np.ones((4, 3)))", ValueError,
         ("product of shapes (4, 3) and (2, 3): a matrix product takes shapes (..., n, k) and (..., k, m), with axes ... "
          "that can be broadcast, and got (4, 3) and (2, 3)")),
        ("nn.functional_call", "a parameter that does not exist",
         'tg.nn.functional_call(model, {"w": w}, np.ones((4, 2)))', ValueError,
         "the module has no parameters called ['w']: it has ['weight', 'bias']"),
        ("nn.functional_call", "a parameter of another shape",
         'tg.nn.functional_call(model, {"weight": np.ones((3, 3))}, np.ones((4, 2)))', ValueError,
         ("product of shapes (4, 2) and (3, 3): a matrix product takes shapes (..., n, k) and (..., k, m), with axes ... "
          "that can be broadcast, and got (4, 2) and (3, 3)")),
        ("nn.functional_call", "something else than a dict", "tg.nn.functional_call(model, [w], np.ones((4, 2)))", TypeError,
         ("functional_call takes a Module and a dict of name and tensor, and got one of type Linear and one of type list of "
          "length 1")),
        ("nn.functional_call", "something else than a module",
         "tg.nn.functional_call(tg.nn.mlp, {}, np.ones((4, 2)))", TypeError,
         ("functional_call takes a Module and a dict of name and tensor, and got one of type function and one of type dict "
          "of length 0")),
    ],
    "Optimisers": [
        ("optim.SGD optim.Adam optim.Optimizer", "a negative step size", "tg.NAME(-0.1)", ValueError,
         "the step size must be a finite number, at least 0, and is -0.1"),
        ("optim.SGD optim.Adam optim.Optimizer", "a step size that is text", 'tg.NAME("fast")', ValueError,
         "the step size must be a finite number, at least 0, and is 'fast'"),
        ("optim.SGD optim.Adam optim.Optimizer", "a step size that is nan", 'tg.NAME(float("nan"))', ValueError,
         "the step size must be a finite number, at least 0, and is nan"),
        ("optim.SGD optim.Adam optim.Optimizer", "an infinite step size", 'tg.NAME(float("inf"))', ValueError,
         "the step size must be a finite number, at least 0, and is inf"),
        ("optim.SGD", "a negative momentum", "tg.optim.SGD(0.1, momentum=-1)", ValueError,
         "momentum must be a finite number, at least 0 and less than 1, and is -1"),
        ("optim.SGD", "a momentum that grows without end", "tg.optim.SGD(0.1, momentum=1.5)", ValueError,
         "momentum must be a finite number, at least 0 and less than 1, and is 1.5"),
        ("optim.Adam", "one beta", "tg.optim.Adam(betas=0.9)", ValueError,
         "betas must be a pair of numbers, one for each running average, and is 0.9"),
        ("optim.Adam", "a beta of 1", "tg.optim.Adam(betas=(0.9, 1.0))", ValueError,
         "each of Adam's betas must be a finite number, at least 0 and less than 1, and is 1.0"),
        ("optim.Adam", "a negative epsilon", "tg.optim.Adam(eps=-1)", ValueError,
         "eps must be a finite number, at least 0, and is -1"),
        ("optim.Optimizer.step", "another shape", "tg.optim.SGD(0.1).step([x], [w])", ValueError,
         "a parameter of shape (3,) came with a gradient of shape (2, 3)"),
        ("optim.Optimizer.step", "another structure", "tg.optim.SGD(0.1).step([x], x)", ValueError,
         ("two structures of tensors are not built alike: the structure is a list of length 1 in one and a leaf in the "
          "other")),
        ("optim.Optimizer.step", "no gradient", "tg.optim.SGD(0.1).step([x], [None])", TypeError, NOTHING),
        ("optim.Optimizer.step", "integer parameters", "tg.optim.SGD(0.1).step([n], [np.ones(3)])", TypeError,
         "a parameter of dtype int64 came with a gradient of dtype float64"),
        ("optim.Optimizer.step", "complex gradients", "tg.optim.SGD(0.1).step([x], [np.ones(3, complex)])", TypeError,
         "a parameter of dtype float64 came with a gradient of dtype complex128"),
        ("optim.Optimizer.step", "no parameters", "tg.optim.Adam().step([], [])", ValueError,
         "there are no parameters: the structure that should hold them is empty"),
        ("optim.clip_norm", "a negative norm", "tg.optim.clip_norm([x], -1)", ValueError,
         "max_norm must be a finite number, greater than 0, and is -1"),
        ("optim.clip_norm", "a norm that is text", 'tg.optim.clip_norm([x], "small")', ValueError,
         "max_norm must be a finite number, greater than 0, and is 'small'"),
        ("optim.clip_norm", "no gradients", "tg.optim.clip_norm([], 1.0)", ValueError,
         "there are no parameters: the structure that should hold them is empty"),
        ("optim.cosine_decay", "no steps", "tg.optim.cosine_decay(0.1, 0, 0)", ValueError,
         "steps must be a finite number, greater than 0, and is 0"),
        ("optim.cosine_decay", "a step beyond the last", "tg.optim.cosine_decay(0.1, 9, 8)", ValueError,
         "step must lie between 0 and the number of steps, 8, and is 9"),
        ("optim.cosine_decay", "a negative step size", "tg.optim.cosine_decay(-0.1, 1, 8)", ValueError,
         "the step size must be a finite number, at least 0, and is -0.1"),
        ("optim.cosine_decay", "a negative warm-up", "tg.optim.cosine_decay(0.1, 1, 8, warmup=-1)", ValueError,
         "warmup must be a finite number, at least 0, and is -1"),
        ("optim.cosine_decay", "text", 'tg.optim.cosine_decay(0.1, "first", 8)', ValueError,
         "step must be a finite number, and is 'first'"),
    ],
    "Tasks": [
        ("tasks.SineTasks", "bounds in the wrong order",
         "tg.tasks.SineTasks(amplitude_min=1.0, amplitude_max=0.5)", ValueError,
         "amplitude_min and amplitude_max must be in order, and are 1.0 and 0.5"),
        ("tasks.SineTasks", "a bound that is nan", 'tg.tasks.SineTasks(phase_min=float("nan"))', ValueError,
         "phase_min must be a finite number, and is nan"),
        ("tasks.SineTasks", "an infinite bound", 'tg.tasks.SineTasks(x_max=float("inf"))', ValueError,
         "x_max must be a finite number, and is inf"),
        ("tasks.SineTasks", "a bound that is text", 'tg.tasks.SineTasks("small")', ValueError,
         "amplitude_min must be a finite number, and is 'small'"),
        ("tasks.SineTasks", "a dtype of integers", "tg.tasks.SineTasks(dtype=int)", TypeError,
         "the dtype of sine tasks must be a floating-point type such as float32, and is int64"),
        ("tasks.SineTasks.sample", "no tasks", "tg.tasks.SineTasks().sample(0, 3, 3)", ValueError,
         "n_tasks must be a whole number, at least 1, and is 0"),
        ("tasks.SineTasks.sample", "a negative number of points", "tg.tasks.SineTasks().sample(2, -1, 3)", ValueError,
         "n_support must be a whole number, at least 0, and is -1"),
        ("tasks.SineTasks.sample", "a number of points that is not whole",
         "tg.tasks.SineTasks().sample(2, 3, 1.5)", ValueError,
         "n_query must be a whole number, at least 0, and is 1.5"),
        ("tasks.SineTasks.sample", "a whole number that is no integer", "tg.tasks.SineTasks().sample(2, 3.0, 3)", ValueError,
         "n_support must be a whole number, at least 0, and is 3.0"),
        ("tasks.SineTasks.sample", "text", 'tg.tasks.SineTasks().sample("two", 3, 3)', ValueError,
         "n_tasks must be a whole number, at least 1, and is 'two'"),
        ("tasks.SineTasks.sample", "a seed that is text", 'tg.tasks.SineTasks().sample(2, 3, 3, rng="seed")', TypeError,
         SEED),
        ("tasks.SineTasks.sample", "a negative seed", "tg.tasks.SineTasks().sample(2, 3, 3, rng=-1)", ValueError,
         "rng must be a NumPy generator, a seed (a whole number from 0) or None, and is -1"),
        ("tasks.ImageTasks", "too few labels", "tg.tasks.ImageTasks(images, labels[:-1])", ValueError,
         "there must be as many labels as images, and there are 17 labels for 18 images"),
        ("tasks.ImageTasks", "no labels", "tg.tasks.ImageTasks(images, None)", TypeError,
         "labels must be a sequence with one value per image, and is of type NoneType"),
        ("tasks.ImageTasks", "labels that are lists", "tg.tasks.ImageTasks(images, [[label] for label in labels])", TypeError,
         "labels must be one value per image, such as a number or a string: unhashable type: 'list'"),
        ("tasks.ImageTasks", "numbers from 0 to 255 that are no uint8",
         "tg.tasks.ImageTasks(images * 1.0, labels)", ValueError,
         "images must lie between 0 (paper) and 1 (ink), and run from 0.0 to 255.0"),
        ("tasks.ImageTasks", "integers", "tg.tasks.ImageTasks(images.astype(int), labels)", TypeError,
         "images must be floating-point numbers from 0 to 1, uint8 from 0 to 255 or bool, and are of dtype int64"),
        ("tasks.ImageTasks", "a single image", "tg.tasks.ImageTasks(images[0], labels)", ValueError,
         "images must have shape (count, height, width), and have shape (28, 28)"),
        ("tasks.ImageTasks", "images of different sizes",
         "tg.tasks.ImageTasks([np.ones((2, 2)), np.ones((3, 3))], [0, 1])", ValueError,
         "images must all have one size, to be one array"),
        ("tasks.ImageTasks", "pixels that are nan", "tg.tasks.ImageTasks(np.full((2, 4, 4), np.nan), [0, 1])", ValueError,
         "images must lie between 0 (paper) and 1 (ink), and run from nan to nan"),
        ("tasks.ImageTasks", "a dtype of integers", "tg.tasks.ImageTasks(images, labels, dtype=int)", TypeError,
         "the dtype of images in tasks must be a floating-point type such as float32, and is int64"),
        ("tasks.ImageTasks", "a class in two groups", "tg.tasks.ImageTasks(images, labels, groups=range(18))", ValueError,
         "the images of a class must be in one group, and those of 0 are in 0 and 2"),
        ("tasks.ImageTasks.sample", "more ways than classes", "tasks.sample(1, ways=7)", ValueError,
         "7-way tasks need 7 classes, and there are 6"),
        ("tasks.ImageTasks.sample", "more points than examples", "tasks.sample(1, shots=1, queries=3)", ValueError,
         "1 shots and 3 queries need 4 examples of every class, and 0 has 3"),
        ("tasks.ImageTasks.sample", "no shots", "tasks.sample(1, shots=0)", ValueError,
         "shots must be a whole number, at least 1, and is 0"),
        ("tasks.ImageTasks.sample", "a number of ways that is not whole", "tasks.sample(1, ways=2.5)", ValueError,
         "ways must be a whole number, at least 1, and is 2.5"),
        ("tasks.ImageTasks.sample", "a number of ways that is text", 'tasks.sample(1, ways="two")', ValueError,
         "ways must be a whole number, at least 1, and is 'two'"),
        ("tasks.ImageTasks.sample", "a seed that is text", 'tasks.sample(1, 3, 1, 1, rng="seed")', TypeError, SEED),
        ("tasks.ImageTasks.split", "a share of more than all", "tasks.split(1.5)", ValueError,
         "both parts need at least one of the 6 classes, and held_out is 1.5"),
        ("tasks.ImageTasks.split", "a class that does not exist", 'tasks.split(["z"])', ValueError,
         "there is no class 'z' to hold out"),
        ("tasks.ImageTasks.split", "no classes", "tasks.split([])", ValueError,
         "both parts need at least one of the 6 classes, and held_out is []"),
        ("tasks.ImageTasks.split", "a number of classes", "tasks.split(3)", TypeError,
         "held_out must be a share, such as 0.2, or a collection of labels, and is of type int"),
        ("tasks.ImageTasks.split", "a string of labels", 'tasks.split("01")', TypeError,
         "held_out must be a share, such as 0.2, or a collection of labels, and is of type str"),
        ("tasks.ImageTasks.split", "a mask", "tasks.split([True, False, False])", TypeError,
         "held_out must be a share, such as 0.2, or a collection of labels, and this looks like a mask"),
        ("tasks.ImageTasks.split", "an array that is a number", "tasks.split(np.array(0.2))", TypeError,
         "held_out must be a share, such as 0.2, or a collection of labels, and is of type ndarray"),
        ("tasks.ImageTasks.split", "a seed that is text", 'tasks.split(0.5, rng="seed")', TypeError, SEED),
        ("tasks.drawn_alphabet", "no classes", "tg.tasks.drawn_alphabet(0)", ValueError,
         "classes must be a whole number, at least 1, and is 0"),
        ("tasks.drawn_alphabet", "a number that is not whole", "tg.tasks.drawn_alphabet(2.5)", ValueError,
         "classes must be a whole number, at least 1, and is 2.5"),
        ("tasks.drawn_alphabet", "no number", "tg.tasks.drawn_alphabet(2, None)", ValueError,
         "examples must be a whole number, at least 1, and is None"),
        ("tasks.drawn_alphabet", "a seed that is text", 'tg.tasks.drawn_alphabet(2, 2, rng="seed")', TypeError, SEED),
        ("tasks.rotated", "too few labels", "tg.tasks.rotated(images, labels[:-1])", ValueError,
         "there must be as many labels as images, and there are 17 labels for 18 images"),
        ("tasks.rotated", "images that are not square", "tg.tasks.rotated(np.ones((2, 3, 4)), [0, 1])", ValueError,
         "images to turn must have shape (count, size, size), and have shape (2, 3, 4)"),
        ("tasks.rotated", "text", 'tg.tasks.rotated("abc", [0, 1])', TypeError,
         "images must be floating-point numbers from 0 to 1, uint8 from 0 to 255 or bool, and are of dtype <U3"),
        ("tasks.centred tasks.distort", "text", 'tg.NAME("abc")', TypeError,
         "images must be floating-point numbers from 0 to 1, uint8 from 0 to 255 or bool, and are of dtype <U3"),
        ("tasks.centred tasks.distort", "a single row", "tg.NAME(np.ones(3))", ValueError,
         "images need a height and a width as their last two axes, and have shape (3,)"),
        ("tasks.centred tasks.distort", "integers", "tg.NAME(np.ones((2, 3), int))", TypeError,
         "images must be floating-point numbers from 0 to 1, uint8 from 0 to 255 or bool, and are of dtype int64"),
        ("tasks.centred tasks.distort", "pixels that are nan", "tg.NAME(np.full((2, 2), np.nan))", ValueError,
         "images must lie between 0 (paper) and 1 (ink), and run from nan to nan"),
        ("tasks.distort", "a scale of 1", "tg.tasks.distort(images, scale=1)", ValueError,
         "scale must be a finite number, at least 0 and less than 1, and is 1"),
        ("tasks.distort", "a negative angle", "tg.tasks.distort(images, degrees=-15)", ValueError,
         "degrees must be a finite number, at least 0, and is -15"),
        ("tasks.distort", "an infinite shift", 'tg.tasks.distort(images, shift=float("inf"))', ValueError,
         "shift must be a finite number, at least 0, and is inf"),
        ("tasks.distort", "no shear", "tg.tasks.distort(images, shear=None)", ValueError,
         "shear must be a finite number, at least 0, and is None"),
        ("tasks.distort", "a seed that is text", 'tg.tasks.distort(images, rng="seed")', TypeError, SEED),
        ("tasks.omniglot.load_omniglot tasks.omniglot.load_runs", "an archive that is not there",
         'tg.NAME("no/such/archive.zip")', FileNotFoundError,
         ("there is no .../no/such/archive.zip: tinygrad_meta.tasks.omniglot.download fetches images_background, "
          "images_evaluation, images_background_small1, images_background_small2, all_runs")),
        ("tasks.omniglot.load_omniglot tasks.omniglot.load_runs", "a size that is too large",
         'tg.NAME("archive.zip", size=106)', ValueError,
         "size must be a whole number from 1 to 105, the size of the originals, and is 106"),
        ("tasks.omniglot.load_omniglot tasks.omniglot.load_runs", "a size that is text",
         'tg.NAME("archive.zip", size="small")', ValueError,
         "size must be a whole number from 1 to 105, the size of the originals, and is small"),
        ("tasks.omniglot.download", "an archive that does not exist",
         'tg.tasks.omniglot.download("images", "data")', ValueError,
         ("Omniglot has no archive 'images': choose one of images_background, images_evaluation, images_background_small1, "
          "images_background_small2, all_runs")),
    ],
    "Meta-learning": [
        ("meta.adapt", "a negative step size", "tg.meta.adapt(loss_fn, params, batch.support, step_size=-0.1)", ValueError,
         "step_size must be a finite number, at least 0, and is -0.1"),
        ("meta.adapt", "a step size that is text",
         'tg.meta.adapt(loss_fn, params, batch.support, step_size="fast")', ValueError,
         "step_size must be a finite number, at least 0, and is 'fast'"),
        ("meta.adapt", "a step size that is nan",
         'tg.meta.adapt(loss_fn, params, batch.support, step_size=float("nan"))', ValueError,
         "step_size must be a finite number, at least 0, and is nan"),
        ("meta.adapt", "step sizes of another structure",
         "tg.meta.adapt(loss_fn, params, batch.support, step_size=[0.1])", ValueError,
         ("two structures of tensors are not built alike: the structure is a list of length 2 in one and a list of length 1 "
          "in the other")),
        ("meta.adapt", "step sizes of another shape",
         "tg.meta.adapt(loss_fn, params, batch.support, step_size=np.array([0.1, 0.1]))", ValueError,
         ("step_size has an entry of shape (2,) for parameters of shape (2, 1, 4): give one number for all, or a structure "
          "built like the parameters with a number or an array of their shape for each")),
        ("meta.adapt", "a negative number of steps",
         "tg.meta.adapt(loss_fn, params, batch.support, step_size=0.1, steps=-1)", ValueError,
         "steps must be a whole number, at least 0, and is -1"),
        ("meta.adapt", "a number of steps that is not whole",
         "tg.meta.adapt(loss_fn, params, batch.support, step_size=0.1, steps=1.5)", ValueError,
         "steps must be a whole number, at least 0, and is 1.5"),
        ("meta.adapt", "a number of steps that is text",
         'tg.meta.adapt(loss_fn, params, batch.support, step_size=0.1, steps="many")', ValueError,
         "steps must be a whole number, at least 0, and is 'many'"),
        ("meta.maml_loss meta.maml_loss_task_by_task meta.evaluate", "a negative step size",
         "tg.NAME(loss_fn, params, batch, step_size=-0.1)", ValueError,
         "step_size must be a finite number, at least 0, and is -0.1"),
        ("meta.maml_loss meta.maml_loss_task_by_task meta.evaluate", "a step size that is text",
         'tg.NAME(loss_fn, params, batch, step_size="fast")', ValueError,
         "step_size must be a finite number, at least 0, and is 'fast'"),
        ("meta.maml_loss meta.maml_loss_task_by_task meta.evaluate", "a step size that is nan",
         'tg.NAME(loss_fn, params, batch, step_size=float("nan"))', ValueError,
         "step_size must be a finite number, at least 0, and is nan"),
        ("meta.maml_loss meta.maml_loss_task_by_task meta.evaluate", "step sizes of another structure",
         "tg.NAME(loss_fn, params, batch, step_size=[0.1])", ValueError,
         ("two structures of tensors are not built alike: the structure is a list of length 2 in one and a list of length 1 "
          "in the other")),
        ("meta.maml_loss meta.evaluate", "step sizes of another shape",
         "tg.NAME(loss_fn, params, batch, step_size=np.array([0.1, 0.1]))", ValueError,
         ("step_size has an entry of shape (2,) for parameters of shape (2, 1, 4): give one number for all, or a structure "
          "built like the parameters with a number or an array of their shape for each")),
        ("meta.maml_loss_task_by_task", "step sizes of another shape",
         "tg.meta.maml_loss_task_by_task(loss_fn, params, batch, step_size=np.array([0.1, 0.1]))", ValueError,
         ("step_size has an entry of shape (2,) for parameters of shape (1, 4): give one number for all, or a structure "
          "built like the parameters with a number or an array of their shape for each")),
        ("meta.maml_loss meta.maml_loss_task_by_task meta.evaluate", "a negative number of steps",
         "tg.NAME(loss_fn, params, batch, step_size=0.1, steps=-1)", ValueError,
         "steps must be a whole number, at least 0, and is -1"),
        ("meta.maml_loss meta.maml_loss_task_by_task meta.evaluate", "a number of steps that is not whole",
         "tg.NAME(loss_fn, params, batch, step_size=0.1, steps=1.5)", ValueError,
         "steps must be a whole number, at least 0, and is 1.5"),
        ("meta.maml_loss meta.maml_loss_task_by_task meta.evaluate", "a number of steps that is text",
         'tg.NAME(loss_fn, params, batch, step_size=0.1, steps="many")', ValueError,
         "steps must be a whole number, at least 0, and is 'many'"),
        ("meta.adapt", "a step size that would stretch a parameter",
         "tg.meta.adapt(loss_fn, params, batch.support, [(0.1, 0.1), (0.1, np.ones(7))])", ValueError,
         ("step_size has an entry of shape (7,) for parameters of shape (2, 1, 1): give one number for all, or a structure "
          "built like the parameters with a number or an array of their shape for each")),
        ("meta.adapt", "a step size that would stretch another axis",
         "tg.meta.adapt(loss_fn, params, batch.support, [(0.1, 0.1), (0.1, np.ones((3, 1)))])", ValueError,
         ("step_size has an entry of shape (3, 1) for parameters of shape (2, 1, 1): give one number for all, or a structure "
          "built like the parameters with a number or an array of their shape for each")),
        ("meta.adapt", "no support", "tg.meta.adapt(loss_fn, params, None, 0.1)", TypeError,
         "support must be a pair of arrays (x, y), and is of type NoneType"),
        ("meta.adapt", "a batch in place of its support", "tg.meta.adapt(loss_fn, params, batch, 0.1)", TypeError,
         "support must be a pair of arrays (x, y), and is of type TaskBatch of length 4"),
        ("meta.adapt", "x without y", "tg.meta.adapt(loss_fn, params, batch.support[0], 0.1)", TypeError,
         "support must be a pair of arrays (x, y), and is of type ndarray"),
        ("meta.adapt", "x and y of different tasks",
         "tg.meta.adapt(loss_fn, params, (batch.support[0], batch.support[1][:1]), 0.1)", ValueError,
         "mse_loss compares arrays of one shape, and got predictions (2, 3, 1) and targets (1, 3, 1): broadcasting them would "
         "compare every point with every other"),
        ("meta.adapt", "something else than a function", "tg.meta.adapt(3, params, batch.support, 0.1)", TypeError,
         "loss_fn must be a function, and is of type int"),
        ("meta.adapt", "a loss that is a plain number",
         "tg.meta.adapt(lambda params, x, y: 1.0, params, batch.support, 0.1)", TypeError,
         "a loss function must return a tensor, one loss per task, and this one's result is of type float"),
        ("meta.adapt", "a loss that does not depend on the parameters",
         "tg.meta.adapt(lambda params, x, y: tg.mean(y, axis=(-2, -1)), params, batch.support, 0.1)", ValueError,
         ("there is no gradient for input 0 of shape (2, 1, 4): the outputs do not depend on it, or only through "
          "what has no derivative, such as a comparison, detach() or no_grad(). Say allow_unused=True to get None instead")),
        ("meta.adapt", "no parameters", "tg.meta.adapt(loss_fn, [], batch.support, 0.1)", ValueError,
         ("the parameters of a network must be a list with one (weight, bias) for each layer, and are of type list of "
          "length 0")),
        ("meta.adapt", "integer parameters",
         "tg.meta.adapt(lambda p, x, y: tg.nn.mse_loss(p * x, y), tg.tensor([[1]]), batch.support, 0.1)", TypeError,
         ("grad needs a real floating-point tensor, and this one has dtype int64: make it with dtype=float, or leave it out "
          "of what you differentiate by")),
        ("meta.maml_loss meta.maml_loss_task_by_task meta.evaluate", "no batch",
         "tg.NAME(loss_fn, params, None, 0.1)", TypeError,
         "a batch of tasks must have a support and a query, each a pair of arrays (x, y), and this is of type NoneType"),
        ("meta.maml_loss meta.maml_loss_task_by_task meta.evaluate", "a support in place of a batch",
         "tg.NAME(loss_fn, params, batch.support, 0.1)", TypeError,
         ("a batch of tasks must have a support and a query, each a pair of arrays (x, y), and this is of type tuple of "
          "length 2")),
        ("meta.maml_loss meta.maml_loss_task_by_task meta.evaluate", "a query of other tasks",
         "tg.NAME(loss_fn, params, other_query, 0.1)", ValueError,
         ("support and query must have the same tasks, as their first axis, and at least one point each, and the shapes of "
          "their y are (2, 3, 1) and (1, 3, 1)")),
        ("meta.maml_loss meta.maml_loss_task_by_task meta.evaluate", "x and y of different tasks",
         "tg.NAME(loss_fn, params, batch._replace(query=(batch.query[0][[0, 1, 1]], batch.query[1])), 0.1)", ValueError,
         "x and y in query must have first axes of one length, and got (3, 3, 1) and (2, 3, 1)"),
        ("meta.maml_loss meta.maml_loss_task_by_task meta.evaluate", "no query points",
         "tg.NAME(loss_fn, params, tg.tasks.SineTasks().sample(2, 3, 0, rng=0), 0.1)", ValueError,
         ("support and query must have the same tasks, as their first axis, and at least one point each, and the shapes of "
          "their y are (2, 3, 1) and (2, 0, 1)")),
        ("meta.maml_loss meta.evaluate", "one loss for all tasks",
         "tg.NAME(lambda params, x, y: tg.mean(loss_fn(params, x, y)), params, batch, 0.1)", ValueError,
         ("a loss function must return one loss per task, of shape (2,), and returned shape (): take the mean over points "
          "and outputs, axes (-2, -1), and not over tasks")),
        ("meta.maml", "something else than a model",
         "tg.meta.maml(None, tg.nn.mse_loss, params, batch.support, 0.1)", TypeError,
         "model must be a function, and is of type NoneType"),
        ("meta.maml", "a loss by name", 'tg.meta.maml(tg.nn.mlp, "mse", params, batch.support, 0.1)', TypeError,
         "loss must be a function, and is of type str"),
        ("meta.maml", "a negative step size",
         "tg.meta.maml(tg.nn.mlp, tg.nn.mse_loss, params, batch.support, -0.1)", ValueError,
         "step_size must be a finite number, at least 0, and is -0.1"),
        ("meta.maml", "a negative number of steps",
         "tg.meta.maml(tg.nn.mlp, tg.nn.mse_loss, params, batch.support, 0.1, steps=-1)", ValueError,
         "steps must be a whole number, at least 0, and is -1"),
        ("meta.query_loss", "a support in place of a batch",
         "tg.meta.query_loss(learner, tg.nn.mse_loss, params, batch.support)", TypeError,
         ("a batch of tasks must have a support and a query, each a pair of arrays (x, y), and this is of type tuple of "
          "length 2")),
        ("meta.query_loss", "one loss for all tasks",
         "tg.meta.query_loss(learner, lambda p, y: tg.mean((p - y) ** 2), params, batch)", ValueError,
         ("a loss function must return one loss per task, of shape (2,), and returned shape (): take the mean over points "
          "and outputs, axes (-2, -1), and not over tasks")),
        ("meta.query_loss", "a loss that is a plain number",
         "tg.meta.query_loss(learner, lambda p, y: 0.0, params, batch)", TypeError,
         "a loss function must return a tensor, one loss per task, and this one's result is of type float"),
        ("meta.query_loss", "something else than a learner",
         "tg.meta.query_loss(None, tg.nn.mse_loss, params, batch)", TypeError,
         "learner must be a function, and is of type NoneType"),
        ("meta.query_loss", "a learner that returns nothing",
         "tg.meta.query_loss(lambda params, support: None, tg.nn.mse_loss, params, batch)", TypeError,
         "what a learner returns must be a function, and is of type NoneType"),
        ("meta.train", "something else than a function", "list(tg.meta.train(3, params, [batch], [0.1]))", TypeError,
         "objective must be a function, and is of type int"),
        ("meta.train", "a negative step size", "list(tg.meta.train(objective, params, [batch], [-0.1]))", ValueError,
         "each of the step sizes must be a finite number, at least 0, and is -0.1"),
        ("meta.train", "a step size that is text", 'list(tg.meta.train(objective, params, [batch], ["fast"]))', ValueError,
         "each of the step sizes must be a finite number, at least 0, and is 'fast'"),
        ("meta.train", "one step size in place of a list", "list(tg.meta.train(objective, params, [batch], 0.1))", TypeError,
         "step_sizes must be a sequence or a generator, with one entry for each step, and is of type float"),
        ("meta.train", "one batch in place of a list", "list(tg.meta.train(objective, params, batch, [0.1]))", TypeError,
         ("a batch of tasks must have a support and a query, each a pair of arrays (x, y), and this is of type tuple of "
          "length 2")),
        ("meta.train", "no parameters", "list(tg.meta.train(objective, [], [batch], [0.1]))", ValueError,
         "there are no parameters: the structure that should hold them is empty"),
        ("meta.train", "the name of an optimizer", 'list(tg.meta.train(objective, params, [batch], [0.1], optimizer="adam"))',
         TypeError, "optimizer must be one of tg.optim, such as Adam(), and is of type str"),
        ("meta.train", "parameters of two types",
         'list(tg.meta.train(objective, [params, tg.tensor([1.0], "float32")], [batch], [0.1]))', TypeError,
         "parameters that are trained together must be of one dtype, and these are float32 and float64"),
        ("meta.train", "a negative bound on the gradient",
         "list(tg.meta.train(objective, params, [batch], [0.1], max_norm=-1))", ValueError,
         "max_norm must be a finite number, greater than 0, and is -1"),
        ("meta.train", "an objective that is a plain number",
         "list(tg.meta.train(lambda params, batch: 1.0, params, [batch], [0.1]))", TypeError,
         "grad takes tensors, and outputs[0] is of type float"),
        ("meta.train", "an objective of more than one number",
         "list(tg.meta.train(lambda params, batch: tg.nn.mlp(params, batch.support[0]), params, [batch], [0.1]))", ValueError,
         ("grad of an output with shape (2, 3, 1) needs grad_outputs of that shape: without it, only a single number can be "
          "differentiated, for instance out.sum()")),
        ("meta.train", "an objective that does not depend on the parameters",
         "list(tg.meta.train(lambda params, batch: tg.tensor(1.0), params, [batch], [0.1]))", ValueError,
         ("there is no gradient for input 0 of shape (1, 4): the outputs do not depend on it, or only through "
          "what has no derivative, such as a comparison, detach() or no_grad(). Say allow_unused=True to get None instead")),
        ("meta.pooled_loss", "a support in place of a batch", "tg.meta.pooled_loss(loss_fn, params, batch.support)", TypeError,
         ("a batch of tasks must have a support and a query, each a pair of arrays (x, y), and this is of type tuple of "
          "length 2")),
        ("meta.pooled_loss", "a query of other tasks", "tg.meta.pooled_loss(loss_fn, params, other_query)", ValueError,
         ("support and query must have the same tasks, as their first axis, and at least one point each, and the shapes of "
          "their y are (2, 3, 1) and (1, 3, 1)")),
        ("meta.pooled_loss", "something else than a function", "tg.meta.pooled_loss(None, params, batch)", TypeError,
         "loss_fn must be a function, and is of type NoneType"),
        ("meta.pooled_loss", "a loss that is a plain number",
         "tg.meta.pooled_loss(lambda params, x, y: 0.0, params, batch)", TypeError,
         "a loss function must return a tensor, one loss per task, and this one's result is of type float"),
        ("meta.reveal", "a support in place of a batch", "tg.meta.reveal(batch.support)", TypeError,
         "reveal takes a batch of sine tasks, which have an amplitude and a phase, and this is of type tuple of length 2"),
        ("meta.reveal", "image tasks", "tg.meta.reveal(tasks.sample(1, 3, 1, 1, rng=0))", TypeError,
         ("reveal takes a batch of sine tasks, which have an amplitude and a phase, and this is of type ImageBatch of "
          "length 3")),
        ("meta.best_step_size", "nothing to choose from", "tg.meta.best_step_size(loss_fn, params, batch, [])", ValueError,
         "step_sizes must be a list of at least one number to choose from, and is []"),
        ("meta.best_step_size", "a single number", "tg.meta.best_step_size(loss_fn, params, batch, 0.1)", ValueError,
         "step_sizes must be a list of at least one number to choose from, and is 0.1"),
        ("meta.best_step_size", "a negative step size",
         "tg.meta.best_step_size(loss_fn, params, batch, [-0.1, 0.1])", ValueError,
         "step_size must be a finite number, at least 0, and is -0.1"),
        ("meta.best_step_size", "a negative number of steps",
         "tg.meta.best_step_size(loss_fn, params, batch, [0.1], steps=-1)", ValueError,
         "steps must be a whole number, at least 0, and is -1"),
        ("meta.summarize", "text", 'tg.meta.summarize("abc")', ValueError,
         ("losses must be an array of floating-point numbers of shape (steps, tasks), of at least two tasks, and are of "
          "dtype <U3 and shape ()")),
        ("meta.summarize", "a single task", "tg.meta.summarize(np.ones((3, 1)))", ValueError,
         ("losses must be an array of floating-point numbers of shape (steps, tasks), of at least two tasks, and are of "
          "dtype float64 and shape (3, 1)")),
        ("meta.summarize", "a single number", "tg.meta.summarize(np.array(1.0))", ValueError,
         ("losses must be an array of floating-point numbers of shape (steps, tasks), of at least two tasks, and are of "
          "dtype float64 and shape ()")),
        ("meta.init_meta_sgd", "a step size that is text", 'tg.meta.init_meta_sgd(params, "fast")', ValueError,
         "step_size must be a finite number, and is 'fast'"),
        ("meta.init_meta_sgd", "a step size that is nan", 'tg.meta.init_meta_sgd(params, float("nan"))', ValueError,
         "step_size must be a finite number, and is nan"),
        ("meta.init_meta_sgd", "no step size", "tg.meta.init_meta_sgd(params, None)", ValueError,
         "step_size must be a finite number, and is None"),
        ("meta.init_meta_sgd", "no parameters", "tg.meta.init_meta_sgd(None, 0.1)", TypeError, NOTHING),
        ("meta.init_meta_sgd", "integer parameters", "tg.meta.init_meta_sgd([n], 0.1)", TypeError,
         ("requires_grad=True needs a real floating-point tensor, and this one has dtype int64: make it with dtype=float, "
          "or leave it out of what you differentiate by")),
        ("meta.meta_sgd", "parameters without step sizes",
         "tg.meta.meta_sgd(tg.nn.mlp, tg.nn.mse_loss, params, batch.support)", ValueError,
         "params must be a dict with keys ['theta', 'step_size'], and is a list of length 2"),
        ("meta.meta_sgd", "step sizes of another structure",
         'tg.meta.meta_sgd(tg.nn.mlp, tg.nn.mse_loss, {"theta": params, "step_size": 0.1}, batch.support)', ValueError,
         ("two structures of tensors are not built alike: the structure is a list of length 2 in one and a leaf in the "
          "other")),
        ("meta.meta_sgd", "one step size for each array",
         ('tg.meta.meta_sgd(tg.nn.mlp, tg.nn.mse_loss, {"theta": params, "step_size": [(0.1, 0.1), (0.1, 0.1)]}, '
          "batch.support)"), ValueError,
         ("Meta-SGD has a step size for every entry, and got step sizes of shape () for parameters of shape (1, 4): make "
          "them with init_meta_sgd")),
        ("meta.meta_sgd", "a negative number of steps",
         "tg.meta.meta_sgd(tg.nn.mlp, tg.nn.mse_loss, tg.meta.init_meta_sgd(params, 0.1), batch.support, steps=-1)", ValueError,
         "steps must be a whole number, at least 0, and is -1"),
        ("meta.anil", "parameters that are not in two parts",
         "tg.meta.anil(tg.nn.mlp, tg.nn.mlp, tg.nn.mse_loss, params, batch.support, 0.1)", ValueError,
         "params must be a dict with keys ['body', 'head'], and is a list of length 2"),
        ("meta.anil", "no support",
         'tg.meta.anil(tg.nn.mlp, tg.nn.mlp, tg.nn.mse_loss, {"body": params, "head": params}, None, 0.1)', TypeError,
         "support must be a pair of arrays (x, y), and is of type NoneType"),
        ("meta.anil", "a negative step size",
         ('tg.meta.anil(tg.nn.mlp, tg.nn.mlp, tg.nn.mse_loss, {"body": params, "head": params}, batch.support, '
          "-0.1)"), ValueError,
         "step_size must be a finite number, at least 0, and is -0.1"),
        ("meta.anil", "a negative number of steps",
         ('tg.meta.anil(tg.nn.mlp, tg.nn.mlp, tg.nn.mse_loss, {"body": params, "head": params}, batch.support, 0.1, '
          "steps=-1)"), ValueError,
         "steps must be a whole number, at least 0, and is -1"),
        ("meta.reptile_loss", "no steps",
         "tg.meta.reptile_loss(tg.nn.mlp, tg.nn.mse_loss, params, batch, 0.1, steps=0)", ValueError,
         "steps must be a whole number, at least 1, and is 0"),
        ("meta.reptile_loss", "a number of steps that is not whole",
         "tg.meta.reptile_loss(tg.nn.mlp, tg.nn.mse_loss, params, batch, 0.1, steps=1.5)", ValueError,
         "steps must be a whole number, at least 1, and is 1.5"),
        ("meta.reptile_loss", "a negative step size",
         "tg.meta.reptile_loss(tg.nn.mlp, tg.nn.mse_loss, params, batch, -0.1, steps=1)", ValueError,
         "step_size must be a finite number, at least 0, and is -0.1"),
        ("meta.reptile_loss", "a support in place of a batch",
         "tg.meta.reptile_loss(tg.nn.mlp, tg.nn.mse_loss, params, batch.support, 0.1, steps=1)", TypeError,
         ("a batch of tasks must have a support and a query, each a pair of arrays (x, y), and this is of type tuple of "
          "length 2")),
        ("meta.imaml", "a negative step size",
         "tg.meta.imaml(tg.nn.mlp, tg.nn.mse_loss, params, batch.support, -0.1, steps=1, strength=1.0)", ValueError,
         "step_size must be a finite number, at least 0, and is -0.1"),
        ("meta.imaml", "a negative number of steps",
         "tg.meta.imaml(tg.nn.mlp, tg.nn.mse_loss, params, batch.support, 0.1, steps=-1, strength=1.0)", ValueError,
         "steps must be a whole number, at least 0, and is -1"),
        ("meta.imaml", "a negative strength",
         "tg.meta.imaml(tg.nn.mlp, tg.nn.mse_loss, params, batch.support, 0.1, steps=1, strength=-1.0)", ValueError,
         "the strength of iMAML's regularisation must be positive, and is -1.0"),
        ("meta.imaml", "a batch in place of its support",
         "tg.meta.imaml(tg.nn.mlp, tg.nn.mse_loss, params, batch, 0.1, steps=1, strength=1.0)", TypeError,
         "support must be a pair of arrays (x, y), and is of type TaskBatch of length 4"),
        ("meta.imaml_loss", "a negative step size",
         "tg.meta.imaml_loss(tg.nn.mlp, tg.nn.mse_loss, params, batch, -0.1, steps=1, strength=1.0)", ValueError,
         "step_size must be a finite number, at least 0, and is -0.1"),
        ("meta.imaml_loss", "a strength of 0",
         "tg.meta.imaml_loss(tg.nn.mlp, tg.nn.mse_loss, params, batch, 0.1, steps=1, strength=0.0)", ValueError,
         "the strength of iMAML's regularisation must be positive, and is 0.0"),
        ("meta.imaml_loss", "a strength that is text",
         'tg.meta.imaml_loss(tg.nn.mlp, tg.nn.mse_loss, params, batch, 0.1, steps=1, strength="strong")', ValueError,
         "strength must be a finite number, and is 'strong'"),
        ("meta.imaml_loss", "a negative number of conjugate gradients",
         "tg.meta.imaml_loss(tg.nn.mlp, tg.nn.mse_loss, params, batch, 0.1, steps=1, strength=1.0, cg_steps=-1)", ValueError,
         "the number of steps of conjugate gradients must be a whole number, at least 0, and is -1"),
        ("meta.imaml_loss", "a support in place of a batch",
         "tg.meta.imaml_loss(tg.nn.mlp, tg.nn.mse_loss, params, batch.support, 0.1, steps=1, strength=1.0)", TypeError,
         ("a batch of tasks must have a support and a query, each a pair of arrays (x, y), and this is of type tuple of "
          "length 2")),
        ("meta.imaml_loss", "one loss for all tasks",
         ("tg.meta.imaml_loss(tg.nn.mlp, lambda p, y: tg.mean((p - y) ** 2), params, batch, 0.1, steps=1, "
          "strength=1.0)"), ValueError,
         ("a loss function must return one loss per task, of shape (2,), and returned shape (): take the mean over points "
          "and outputs, axes (-2, -1), and not over tasks")),
        ("meta.relatives.conjugate_gradients", "a number of steps that is not whole",
         "tg.meta.relatives.conjugate_gradients(lambda x: x, x, steps=1.5)", ValueError,
         "the number of steps of conjugate gradients must be a whole number, at least 0, and is 1.5"),
        ("meta.init_matching", "no embedding", "tg.meta.init_matching([])", ValueError,
         "parameters must be tensors or arrays, at least one of them, and these are a list of length 0"),
        ("meta.init_matching", "a sharpness that is text", 'tg.meta.init_matching(params, "high")', ValueError,
         "sharpness must be a finite number, and is 'high'"),
        ("meta.init_matching", "a sharpness that is nan", 'tg.meta.init_matching(params, float("nan"))', ValueError,
         "sharpness must be a finite number, and is nan"),
        ("meta.matching", "parameters without a sharpness",
         "tg.meta.matching(embed, params, (points, classes), 2)", ValueError,
         "params must be a dict with keys ['embed', 'sharpness'], and is a list of length 2"),
        ("meta.matching", "labels without a number of ways",
         "tg.meta.matching(embed, tg.meta.init_matching(params), (points, classes))", ValueError,
         ("the support set's answers are of dtype int64: for labels, say how many classes there are (ways=...); for numbers "
          "to be predicted, make them floating-point")),
        ("meta.matching", "numbers for other points",
         "tg.meta.matching(embed, tg.meta.init_matching(params), (points, points[:2]))", ValueError,
         "x and y in support must have first axes of one length, and got (4, 2) and (2, 2)"),
        ("meta.matching", "x without y", "tg.meta.matching(embed, tg.meta.init_matching(params), points, 2)", TypeError,
         "support must be a pair of arrays (x, y), and is of type ndarray"),
        ("meta.prototypes", "a class without a point", "tg.meta.prototypes(embed, None, (points, classes), 3)", ValueError,
         "every class needs a support point: some of the labels 0 to 2 do not occur"),
        ("meta.prototypes", "more classes than ways", "tg.meta.prototypes(embed, None, (points, classes), 1)", ValueError,
         "got labels from 0 to 1 for 1 classes: they must lie between 0 and 0"),
        ("meta.prototypes", "no ways", "tg.meta.prototypes(embed, None, (points, classes), 0)", ValueError,
         "the number of classes must be a whole number, at least 1, and is 0"),
        ("meta.prototypes", "a number of ways that is not whole",
         "tg.meta.prototypes(embed, None, (points, classes), 1.5)", ValueError,
         "the number of classes must be a whole number, at least 1, and is 1.5"),
        ("meta.prototypes", "labels that are not integers",
         "tg.meta.prototypes(embed, None, (points, classes * 1.0), 2)", ValueError,
         "labels are integers from 0 to 1, and these are float64 of shape (4,)"),
        ("meta.prototypes", "too few labels", "tg.meta.prototypes(embed, None, (points, classes[:2]), 2)", ValueError,
         "each support point has a label and a row of features, and got labels of shape (2,) for features of shape (4, 2)"),
        ("meta.prototypes", "x without y", "tg.meta.prototypes(embed, None, points, 2)", TypeError,
         "support must be a pair of arrays (x, y), and is of type ndarray"),
        ("meta.prototypes", "queries of another size",
         "tg.meta.prototypes(embed, None, (points, classes), 2)(np.ones((3, 3)))", ValueError,
         ("product of shapes (3, 3) and (2, 2): a matrix product takes shapes (..., n, k) and (..., k, m), with axes ... "
          "that can be broadcast, and got (3, 3) and (2, 2)")),
        ("meta.init_hypernetwork", "no base", "tg.meta.init_hypernetwork([])", ValueError,
         "parameters must be tensors or arrays, at least one of them, and these are a list of length 0"),
        ("meta.init_hypernetwork", "no numbers in a pair", "tg.meta.init_hypernetwork(params, pair_size=0)", ValueError,
         ("a network needs a list of at least an input and an output size, each a whole number, 1 or more, and got [0, 64, "
          "64, 64]")),
        ("meta.init_hypernetwork", "a width that is not whole", "tg.meta.init_hypernetwork(params, width=1.5)", ValueError,
         ("a network needs a list of at least an input and an output size, each a whole number, 1 or more, and got [2, 1.5, "
          "1.5, 1.5]")),
        ("meta.init_hypernetwork", "no numbers in the code", "tg.meta.init_hypernetwork(params, code_size=0)", ValueError,
         "code_size must be a whole number, at least 1, and is 0"),
        ("meta.init_hypernetwork", "a seed that is text", 'tg.meta.init_hypernetwork(params, rng="seed")', TypeError, SEED),
        ("meta.hypernetwork", "parameters of another kind",
         "tg.meta.hypernetwork(tg.nn.mlp, params, batch.support)", ValueError,
         "params must be a dict with keys ['read', 'summarize', 'base', 'directions'], and is a list of length 2"),
        ("meta.hypernetwork", "pairs of another size",
         "tg.meta.hypernetwork(tg.nn.mlp, tg.meta.init_hypernetwork(params, rng=0), (points, points))", ValueError,
         ("this hypernetwork reads pairs (x, y) of 2 numbers in all, of shapes (..., points, features) and (..., points, "
          "outputs), and got (4, 2) and (4, 2)")),
        ("meta.hypernetwork", "no support",
         "tg.meta.hypernetwork(tg.nn.mlp, tg.meta.init_hypernetwork(params, rng=0), None)", TypeError,
         "support must be a pair of arrays (x, y), and is of type NoneType"),
        ("meta.init_head_hypernetwork", "no features", "tg.meta.init_head_hypernetwork(params, features=0)", ValueError,
         "features must be a whole number, at least 1, and is 0"),
        ("meta.init_head_hypernetwork", "features that are text",
         'tg.meta.init_head_hypernetwork(params, features="many")', ValueError,
         "features must be a whole number, at least 1, and is 'many'"),
        ("meta.init_head_hypernetwork", "no embedding", "tg.meta.init_head_hypernetwork([], features=2)", ValueError,
         "parameters must be tensors or arrays, at least one of them, and these are a list of length 0"),
        ("meta.head_hypernetwork", "parameters of another kind",
         "tg.meta.head_hypernetwork(embed, {}, (points, classes), 2)", ValueError,
         "params must be a dict with keys ['embed', 'write'], and is a dict with keys []"),
        ("meta.head_hypernetwork", "another number of features",
         "tg.meta.head_hypernetwork(embed, tg.meta.init_head_hypernetwork(params, 3, rng=0), (points, classes), 2)", ValueError,
         ("product of shapes (2, 2) and (3, 64): a matrix product takes shapes (..., n, k) and (..., k, m), with axes ... "
          "that can be broadcast, and got (2, 2) and (3, 64)")),
        ("meta.head_hypernetwork", "a class without a point",
         "tg.meta.head_hypernetwork(embed, tg.meta.init_head_hypernetwork(params, 2, rng=0), (points, classes), 3)", ValueError,
         "every class needs a support point: some of the labels 0 to 2 do not occur"),
        ("meta.parallel.spread", "something else than a function",
         "tg.meta.parallel.spread(None, ThreadPoolExecutor())", TypeError,
         "gradient_of must be a function, and is of type NoneType"),
        ("meta.parallel.spread", "an executor by name", 'tg.meta.parallel.spread(objective, "processes:2")', TypeError,
         ("an executor is a concurrent.futures.Executor, and this one is of type str: open_executor makes one from a text "
          "such as 'processes:2'")),
        ("meta.parallel.spread", "no workers", "tg.meta.parallel.spread(objective, ThreadPoolExecutor(), workers=0)", ValueError,
         "workers must be a whole number, at least 1, and is 0"),
        *[("meta.parallel.open_executor", wrong, f"tg.meta.parallel.open_executor({text}).__enter__()", ValueError,
           ("an executor is written processes:N, for N processes, at least one and at most 16 for each processor of this "
            f"machine, or dask:tcp://host:port, and not {text}"))
          for wrong, text in [("another kind", "'threads:2'"), ("no processes", "'processes:0'"),
                              ("a million processes", "'processes:1000000'"), ("nothing", "None")]],
        ("meta.checkpoint.save", "a list of arrays", 'tg.meta.checkpoint.save("a.npz", [1.0], {})', TypeError,
         ("a checkpoint is made of a dict of arrays and a dict of facts, and got one of type list of length 1 and one of type "
          "dict of length 0")),
        ("meta.checkpoint.save", "an array that is not finite",
         'tg.meta.checkpoint.save("a.npz", {"theta": np.array([np.nan])}, {})', CheckpointError,
         "theta is not all finite numbers, so it does not become the checkpoint a.npz"),
        ("meta.checkpoint.save", "a name that numpy.savez keeps for itself",
         'tg.meta.checkpoint.save("a.npz", {"file": np.zeros(2)}, {})', ValueError,
         "an array in a checkpoint cannot be called 'file'"),
        ("meta.checkpoint.save", "facts that JSON cannot hold", 'tg.meta.checkpoint.save("a.npz", {}, {"tensor": x})', TypeError,
         "the facts in a checkpoint are what JSON can hold: Object of type Tensor is not JSON serializable"),
        ("meta.checkpoint.save", "a folder that does not exist", 'tg.meta.checkpoint.save("/nowhere/a.npz", {}, {})', OSError,
         "cannot write /nowhere/a.npz: No such file or directory"),
        ("meta.checkpoint.load", "a file that does not exist", 'tg.meta.checkpoint.load("/nowhere/a.npz")',
         CheckpointError, "/nowhere/a.npz cannot be read: No such file or directory"),
        ("meta.checkpoint.load", "another file", "tg.meta.checkpoint.load(tg.__file__)", CheckpointError,
         "... is not a checkpoint"),
        ("meta.checkpoint.Checkpoints", "no folder", "tg.meta.checkpoint.Checkpoints(None)", TypeError, "...NoneType..."),
        ("meta.checkpoint.Checkpoints.save", "an array that is not finite",
         'tg.meta.checkpoint.Checkpoints("/nowhere").save(1, 2, {"theta": np.array([np.nan])}, {})',
         CheckpointError,
         "theta is not all finite numbers, so it does not become the checkpoint /nowhere/checkpoint-1.npz"),
        ("meta.checkpoint.Checkpoints.resume", "a folder without any", 'tg.meta.checkpoint.Checkpoints("/nowhere").resume(None)',
         CheckpointError, "there is no checkpoint in /nowhere"),
        ("meta.checkpoint.Checkpoints.check_space", "more than the disk has",
         'tg.meta.checkpoint.Checkpoints("/").check_space(10**18)', OSError,
         "the disk of / is too full: ... bytes are free, and this run takes 3,000,000,000,001,048,576"),
        ("meta.families.sine_methods meta.families.image_methods", "a seed that is text", 'tg.NAME(rng="seed")', TypeError, SEED),
        ("meta.families.sine_methods", "a layer of no units", "tg.meta.families.sine_methods(hidden=(0,))", ValueError,
         ("a network needs a list of at least an input and an output size, each a whole number, 1 or more, and got [1, 0, "
          "1]")),
        ("meta.families.image_methods", "no classes", "tg.meta.families.image_methods(ways=0)", ValueError,
         "the number of classes must be a whole number, at least 1, and is 0"),
        ("meta.families.image_methods", "an encoder that does not exist", 'tg.meta.families.image_methods(encoder="large")',
         ValueError, "there is no encoder called 'large': choose one of dense, convolutional"),
        ("meta.families.sine_problem", "nothing to test on", "tg.meta.families.sine_problem(0)", ValueError,
         "n_tasks must be a whole number, at least 1, and is 0"),
        ("meta.families.sine_problem", "a negative number of shots", "tg.meta.families.sine_problem(10, shots=-1)", ValueError,
         "n_support must be a whole number, at least 0, and is -1"),
        ("meta.families.image_problem", "images in place of tasks", "tg.meta.families.image_problem(images, images, 10)",
         TypeError, "for_training must be ImageTasks, and is of type ndarray"),
        ("meta.families.image_problem", "more ways than classes", "tg.meta.families.image_problem(tasks, tasks, 10, ways=50)",
         ValueError, "50-way tasks need 50 classes, and there are 6"),
        ("meta.families.compare", "something else than a problem", "list(tg.meta.families.compare(None, 1.0))", TypeError,
         "a problem is what sine_problem or image_problem returns, and this is of type NoneType"),
        ("meta.families.compare", "a negative time",
         "list(tg.meta.families.compare(tg.meta.families.sine_problem(2), -1.0))", ValueError,
         "seconds must be a finite number, at least 0, and is -1.0"),
        ("meta.challenge.train_embedding", "too few classes", "tg.meta.challenge.train_embedding(images, labels, 1.0)",
         ValueError, "60-way tasks need 60 classes, and there are 24"),
        ("meta.challenge.train_embedding", "too few labels", "tg.meta.challenge.train_embedding(images, labels[:2], 1.0)",
         ValueError, "there must be as many labels as images, and there are 2 labels for 18 images"),
        ("meta.challenge.answers", "a support in place of runs",
         "tg.meta.challenge.answers(tg.meta.challenge.init_embedding(0), batch.support)", TypeError,
         ("a batch of tasks must have a support and a query, each a pair of arrays (x, y), and this is of type tuple of "
          "length 2")),
        ("meta.challenge.answers", "tasks without images",
         "tg.meta.challenge.answers(tg.meta.challenge.init_embedding(0), batch)", ValueError,
         "images must lie between 0 (paper) and 1 (ink), and run from ... to ..."),
        ("meta.challenge.answers", "parameters of another kind",
         "tg.meta.challenge.answers(params, tasks.sample(1, 3, 1, 1, rng=0))", ValueError,
         "params must be a dict with keys ['layers', 'scale'], and is a list of length 2"),
        ("meta.pixels.euclidean meta.pixels.modified_hausdorff", "text", 'tg.NAME("abc", "abc")', TypeError,
         "images must be floating-point numbers from 0 to 1, uint8 from 0 to 255 or bool, and are of dtype <U3"),
        ("meta.pixels.euclidean meta.pixels.modified_hausdorff", "integers",
         "tg.NAME(np.ones((2, 3, 3), int), np.ones((2, 3, 3)))", TypeError,
         "images must be floating-point numbers from 0 to 1, uint8 from 0 to 255 or bool, and are of dtype int64"),
        ("meta.pixels.euclidean meta.pixels.modified_hausdorff", "single images",
         "tg.NAME(np.ones((3, 3)), np.ones((3, 3)))", ValueError,
         ("distances are those between images of two sets, (..., m, height, width) and (..., n, height, width), and got "
          "shapes (3, 3) and (3, 3)")),
        ("meta.pixels.euclidean", "images of different sizes",
         "tg.meta.pixels.euclidean(np.ones((2, 3, 3)), np.ones((2, 4, 4)))", ValueError,
         "images are compared pixel by pixel if they have one size, and got shapes (2, 3, 3) and (2, 4, 4)"),
        ("meta.pixels.euclidean meta.pixels.modified_hausdorff", "different tasks",
         "tg.NAME(np.ones((2, 5, 3, 3)), np.ones((3, 5, 3, 3)))", ValueError,
         ("distances are those between images of two sets, (..., m, height, width) and (..., n, height, width), and got "
          "shapes (2, 5, 3, 3) and (3, 5, 3, 3)")),
        ("meta.pixels.modified_hausdorff", "a blank image",
         "tg.meta.pixels.modified_hausdorff(np.zeros((2, 3, 3)), np.ones((2, 3, 3)))", ValueError,
         "the Hausdorff distance is one between inked pixels, and an image has none that is darker than half"),
        ("meta.pixels.nearest_neighbour", "too few labels",
         "tg.meta.pixels.nearest_neighbour(np.ones((2, 3, 3)), [0], np.ones((2, 3, 3)))", ValueError,
         "every support image needs a label, and there are images (2, 3, 3) and labels (1,)"),
        ("meta.pixels.nearest_neighbour", "queries of another size",
         "tg.meta.pixels.nearest_neighbour(np.ones((2, 3, 3)), [0, 1], np.ones((2, 4, 4)))", ValueError,
         "support and query images must have the same size and the same tasks, and have shapes (2, 3, 3) and (2, 4, 4)"),
        ("meta.pixels.nearest_neighbour", "distances by name",
         'tg.meta.pixels.nearest_neighbour(np.ones((2, 3, 3)), [0, 1], np.ones((2, 3, 3)), distances="euclidean")', TypeError,
         "distances must be a function, and is of type str"),
    ],
}


class Row(NamedTuple):
    """One call of the table."""

    name: str
    wrong: str
    code: str
    error: type
    message: str


def rows(table=TABLE):
    """Every call by itself, for each of the names."""
    for names, wrong, code, error, message in [row for section in table.values() for row in section]:
        for name in names.split():
            yield Row(name, wrong, code.replace("NAME", name), error, message.replace("NAME", name.split(".")[-1]))


def surroundings():
    """What the code of the table may use."""
    names = {}
    exec(SETUP, names)  # noqa: S102  the text above
    return names


def complaint(row, names):
    """What is wrong with a row: the call was accepted, or the user reads something else; ``None`` if nothing is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = eval(compile(row.code, "an example", "eval"), names)
    except Exception as error:  # noqa: BLE001  which one it is, is the question
        expected = ".*".join(map(re.escape, row.message.split("...")))
        if type(error) is not row.error or not re.fullmatch(expected, str(error)):
            return f"{row.code}\n    raised   {type(error).__name__}: {error}\n    expected {row.error.__name__}: {row.message}"
        return None
    return f"{row.code}\n    was accepted, and gave {result!r}"


# ------------------------------------------------------------------------------------------------------ the page


def page():
    """The table as Markdown: short lines for small screens."""
    parts = [
        ("# Bad inputs\n\nWhat the functions of this package say to input that they cannot use: the call, and the error "
         "that it raises. Each line is a test. `python -m tests.bad_inputs` writes this page.\n\nThe calls use these names:\n\n"
         f"```python\n{SETUP}```\n")
    ]
    for section, entries in TABLE.items():
        parts.append(f"## {section}\n")
        parts += [entry(*row) for row in entries]
    return "\n".join(parts)


def entry(names, wrong, code, error, message):
    first, *others = names.split()
    code, message = code.replace("NAME", first), message.replace("NAME", first.split(".")[-1])
    same = f"\\\n  The same for {', '.join(others)}." if others else ""
    return f"- {wrong[0].upper()}{wrong[1:]}\\\n  {quoted(code)}\\\n  {quoted(f'{error.__name__}: {message}')}{same}\n"


def quoted(text):
    """As code, which a quotation mark within may not end."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def main():
    matplotlib.use("Agg")
    names = surroundings()
    complaints = [text for row in rows() if (text := complaint(row, names))]
    if complaints:
        return "\n".join(complaints)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
