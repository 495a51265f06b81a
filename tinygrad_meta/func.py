"""Derivatives of functions.  ``autodiff.grad`` differentiates a result that exists; these take a function and return one.

Arguments may be tensors, arrays, numbers, or structures of them (lists, tuples and dicts), and gradients come in the same
structure.  All of them can be nested and combined: the derivative of a derivative is ``grad(grad(f))``.

How it is done: every argument is replaced by a fresh tensor of the same value, the function is run on those, and its result
is differentiated by them.  Where the argument is itself part of a recorded computation (grad inside grad), ``identity`` keeps
the connection, and the derivative is recorded too.

>>> import tinygrad_meta as tg
>>> F = lambda x1, x2: (x1 + x2) * (x2 + 1)
>>> tg.func.grad(F, argnums=(0, 1))(2.0, 3.0)
(Tensor(4.0, dtype=float64), Tensor(9.0, dtype=float64))
>>> tg.func.hessian(F, argnums=(0, 1))(2.0, 3.0)[1][1]
Tensor(2.0, dtype=float64)
"""

from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial, wraps
from threading import RLock

import numpy as np

from . import autodiff
from .ops import concat, constant_in, identity, reshape, stack
from .tensor import Primitive, Tensor, as_tensor, call_with_one, creation_number, recording, require_floating, result
from .tree import as_vector, check_alike, leaves, rebuild, split, tree_map
from .validate import function, kind


def grad(f, argnums=0):
    """The gradient of a scalar function, as a function of the same arguments.

    Parameters
    ----------
    f : function returning a tensor with one element
    argnums : int or tuple of ints
        Which arguments to differentiate by; a tuple gives a tuple of gradients.  Keyword arguments are handed on to ``f``.

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> tg.func.grad(tg.sin)(0.0)
    Tensor(1.0, dtype=float64)
    >>> tg.func.grad(tg.func.grad(tg.sin))(0.0)
    Tensor(-0.0, dtype=float64)
    """
    return lambda *args, **options: value_and_grad(f, argnums)(*args, **options)[1]


def value_and_grad(f, argnums=0):
    """The function's value and its gradient, in one go.

    >>> import tinygrad_meta as tg
    >>> tg.func.value_and_grad(lambda x: x ** 3)(2.0)
    (Tensor(8.0, dtype=float64), Tensor(12.0, dtype=float64))
    """

    def value_and_gradient(*args, **options):
        out, pull_back, release = pull_back_of(partial(f, **options) if options else f, args, argnums, "grad")
        if not isinstance(out, Tensor) or out.size != 1:
            returned = f"shape {out.shape}" if isinstance(out, Tensor) else f"a {type(out).__name__}"
            raise ValueError(f"grad takes a function that returns a single number, and this one returned {returned}: "
                             "use vjp or jacobian, or add up its result")
        return release(out), pull_back(ones_like(out))

    return value_and_gradient


def vjp(f, *primals):
    """The function's value, and the function that multiplies a vector by its Jacobian from the left.

    Returns
    -------
    out : what ``f(*primals)`` returns
    vjp_fn : function
        Takes a cotangent, built and shaped like ``out``; returns a tuple with one gradient per primal.

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> out, vjp_fn = tg.func.vjp(lambda x: x * x, tg.tensor([1.0, 2.0]))
    >>> vjp_fn(tg.tensor([1.0, 10.0]))
    (Tensor([ 2. 40.], dtype=float64),)
    """
    out, pull_back, release = pull_back_of(f, primals, tuple(range(len(primals))), "vjp")
    return release(out), pull_back


def jvp(f, primals, tangents):
    """The function's value, and its Jacobian times a vector: the derivative in the direction of ``tangents``.

    There is no forward mode here.  The vector-Jacobian product ``u -> J.T @ u`` is linear in ``u``, so its own
    vector-Jacobian product, with the tangent ``v``, is ``J @ v``.

    >>> import tinygrad_meta as tg
    >>> tg.func.jvp(tg.sin, (0.0,), (2.0,))
    (Tensor(0.0, dtype=float64), Tensor(2.0, dtype=float64))
    """
    for name, given in {"primals": primals, "tangents": tangents}.items():
        if not isinstance(given, (list, tuple)):
            raise TypeError(f"{name} must be a tuple with one entry for each argument, and is {kind(given)}")
    check_alike(list(primals), list(tangents))
    out, pull_back, release = pull_back_of(f, primals, tuple(range(len(primals))), "jvp")
    _, push_forward, _ = pull_back_of(pull_back, (tree_map(ones_like, out),), 0, None)
    return release(out), push_forward(tuple(tangents))


def hvp(f, params, v):
    """The Hessian of a scalar function times a vector, at the cost of a few gradients and without forming the Hessian.

    ``H v`` is the gradient of the number ``<grad f, v>``; compare Pearlmutter 1994, "Fast exact multiplication by the Hessian".

    Parameters
    ----------
    f : function of ``params`` returning a tensor with one element
    params, v : structures built and shaped alike

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> tg.func.hvp(lambda x: (x ** 3).sum(), tg.tensor([1.0, 2.0]), tg.tensor([1.0, 0.5]))
    Tensor([6. 6.], dtype=float64)
    """
    check_alike(params, v)
    _, pull_back, _ = pull_back_of(grad(f), (params,), 0, "hvp")
    return pull_back(v)


def jacobian(f, argnums=0):
    """The Jacobian of a function: all derivatives of all entries of the result, one backward pass for each entry.

    Its shape is the result's shape followed by the argument's.  Where those are structures, so is the Jacobian: the result's
    structure, with the argument's structure in place of each leaf.

    >>> import tinygrad_meta as tg
    >>> tg.func.jacobian(lambda x: x * x)(tg.tensor([1.0, 2.0]))
    Tensor([[2. 0.]
            [0. 4.]], dtype=float64)
    """

    def jacobian_at(*args):
        out, pull_back, _ = pull_back_of(f, args, argnums, "jacobian")
        zeros = [zeros_like(leaf) for leaf in leaves(out)]

        def block(i, leaf):
            one_hot = as_tensor(np.eye(leaf.size, dtype=leaf.dtype).reshape(leaf.size, *leaf.shape))
            rows = [pull_back(rebuild(out, [*zeros[:i], row, *zeros[i + 1 :]])) for row in one_hot]
            if not rows:  # a result without entries
                return tree_map(lambda g: as_tensor(np.zeros((*leaf.shape, *g.shape), g.dtype)), pull_back(out))
            return tree_map(lambda *g: reshape(stack(g), (*leaf.shape, *g[0].shape)), *rows)

        return rebuild(out, [block(i, leaf) for i, leaf in enumerate(leaves(out))])

    return jacobian_at


def hessian(f, argnums=0):
    """The matrix of second derivatives of a scalar function: the Jacobian of its gradient.

    >>> import tinygrad_meta as tg
    >>> tg.func.hessian(lambda x: x[0] * x[1] ** 2)(tg.tensor([1.0, 2.0]))
    Tensor([[0. 4.]
            [4. 2.]], dtype=float64)
    """
    return jacobian(grad(f, argnums), argnums)


def checkpoint(f):
    """The same function, which keeps nothing of what it computes on the way, and computes it again where a derivative needs it.

    Memory for time: a chain of ``n`` steps then holds the results of the steps and the inside of one, at the price of running
    every step twice (Griewank, Walther 2000, have the general case).  What runs again is part of the chain rule like any other
    operation, so derivatives of any order exist, and the inside of a gradient is not kept either.

    Parameters
    ----------
    f : function
        Of tensors and structures of them, and must do the same when it is run again.  Whatever it is to be differentiated by
        has to be one of its arguments; these, and the results, must share one floating-point dtype.

    Returns
    -------
    function
        To be called like ``f``, and does nothing else than ``f`` where no argument requires a gradient.  Each result that
        depends on one counts as depending on all that any of them depends on.

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> step = tg.func.checkpoint(lambda x: tg.sin(tg.sin(tg.sin(x))))
    >>> x = tg.tensor(1.0, requires_grad=True)
    >>> y = step(x)
    >>> y.inputs[0].inputs[0].op          # where three sines would be
    <operation recomputed>
    >>> tg.grad(y, x)[0].item() == tg.func.grad(lambda x: tg.sin(tg.sin(tg.sin(x))))(1.0).item()
    True
    """

    function("what is recomputed", f)

    @wraps(f)
    def recomputing(*args, **options):
        given = [np.array(x) if isinstance(x, np.ndarray) else x for x in leaves((args, options))]  # which may change
        varying = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
        if not varying or not recording.get():
            return f(*args, **options)

        def call(new_leaves):
            args_, options_ = rebuild((args, options), new_leaves)
            return f(*args_, **options_)

        started, trial = next(creation_number), list(given)
        with autodiff.no_grad():
            for i in varying:
                trial[i] = identity(given[i])
        arguments = [trial[i] for i in varying]
        require_grad(arguments, True)
        out = call(trial)
        outputs = leaves(out)
        if any([isinstance(x, Tensor) and type(x) is not Tensor for x in outputs]):
            return f(*args, **options)  # which is being recorded, and its program decides what to keep
        tensors = [x for x in outputs if isinstance(x, Tensor)]
        check_nothing_captured(tensors, started, arguments)
        _, connected = autodiff.between(tensors, arguments)
        varying = [i for i in varying if trial[i] in connected]
        depending = [i for i, x in enumerate(outputs) if isinstance(x, Tensor) and x in connected]  # others are constants
        inputs, dependent = [given[i] for i in varying], [outputs[i] for i in depending]
        if not inputs:
            return f(*args, **options)
        check_one_dtype([*inputs, *dependent])

        def of_vector(vector):
            found = leaves(call(replaced(given, varying, split(vector, inputs))))
            return as_vector([found[i] for i in depending])

        with autodiff.no_grad():
            value = as_vector(dependent)._data
        vector = result(value, True, RECOMPUTED, (as_vector(inputs),), {"f": of_vector})
        return rebuild(out, replaced(outputs, depending, split(vector, dependent)))

    return recomputing


def replaced(values, positions, new):
    """A list with other values at some positions."""
    values = list(values)
    for i, value in zip(positions, new, strict=True):
        values[i] = value
    return values


def recomputed(x, f):
    """A function of one vector, as an operation: its value alone, and nothing of what is computed on the way to it."""
    return f(as_tensor(x))._data


def gradient_of_recomputed(g, out, x, f):
    """The gradient of a function that is computed again is itself one."""

    def gradient(both):
        _, pull_back, _ = pull_back_of(f, (both[out.size :],), 0, None)
        return pull_back(both[: out.size])

    both = concat([g, x])
    return recompute(both, f=gradient) if type(both) is Tensor else gradient(both)


RECOMPUTED = Primitive(recomputed, [gradient_of_recomputed])
recompute = call_with_one(RECOMPUTED)


def check_nothing_captured(outputs, started, arguments):
    """Raise an error if a result depends on something older than the call that is no argument of it."""
    seen, to_visit = set(arguments), list(outputs)
    while to_visit:
        x = to_visit.pop()
        if x.requires_grad and x not in seen:
            if x.order < started:
                name = f" ({x.name})" if x.name else ""
                raise ValueError(f"a function under checkpoint uses a tensor{name} of shape {x.shape} that requires a gradient "
                                 "and is none of its arguments, so that its gradient would be lost: pass it as an argument")
            seen.add(x)
            to_visit += x.inputs


def check_one_dtype(tensors):
    dtypes = sorted({str(x.dtype) for x in tensors})
    if len(dtypes) > 1:
        raise TypeError(f"checkpoint joins what a function is differentiated by, and its results, to vectors of one dtype, and "
                        f"got {' and '.join(dtypes)}: convert them with astype outside of it")


def pull_back_of(f, args, argnums, caller):
    """Run ``f`` and return its result, its vector-Jacobian product, and a function that releases its result from the graph."""
    positions = positions_of(argnums, args)
    function("what is differentiated", f)
    fresh = list(args)
    for i in positions:
        fresh[i] = tree_map(fresh_tensor, args[i])
    inputs = leaves([fresh[i] for i in positions])
    nested = recording.get()
    with autodiff.set_recording(True):
        out = tree_map(as_tensor, f(*fresh))
    outputs = leaves(out)
    if caller:
        check_connected(outputs, inputs, caller)
    nested = nested and depends_on_others(outputs, inputs)
    leaves_of_ours = [x for x in inputs if x.op is None]
    require_grad(leaves_of_ours, False)  # except while pulling back: whoever gets hold of a result has nothing to do with them
    one_at_a_time = RLock()

    def pull_back(cotangents):
        check_alike(out, cotangents)
        cotangents = [as_tensor(g, beside=o) for g, o in zip(leaves(cotangents), outputs, strict=True)]
        for g, o in zip(cotangents, outputs, strict=True):
            if g.shape != o.shape:
                raise ValueError(f"a vector of shape {g.shape} was given where one of shape {o.shape} is due")
        create_graph = nested or any([g.requires_grad for g in cotangents])
        with one_at_a_time:
            require_grad(leaves_of_ours, True)
            try:
                pairs = [(o, g) for o, g in zip(outputs, cotangents, strict=True) if o.requires_grad]
                gradients = autodiff.grad([o for o, _ in pairs], inputs, [g for _, g in pairs], create_graph, allow_unused=True)
                gradients = [zeros_like(x) if g is None else g for g, x in zip(gradients, inputs, strict=True)]
                if create_graph:
                    gradients = [connect(g, inputs) for g in gradients]
            finally:
                require_grad(leaves_of_ours, False)
        parts = rebuild([fresh[i] for i in positions], gradients)
        return tuple(parts) if isinstance(argnums, Iterable) else parts[0]

    def release(result):
        with nullcontext() if nested else autodiff.no_grad():
            return tree_map(identity, result)

    return out, pull_back, release


def positions_of(argnums, args):
    positions = tuple(argnums) if isinstance(argnums, Iterable) else (argnums,)
    for i in positions:
        if not isinstance(i, (int, np.integer)) or isinstance(i, bool) or not -len(args) <= i < len(args):
            raise ValueError(f"argnums must be places among the {len(args)} arguments, counted from 0, and is {argnums!r}")
    return positions


def fresh_tensor(x):
    x = as_tensor(x)
    require_floating(x, "differentiating by an argument")
    fresh = identity(x)
    fresh.requires_grad = True
    return fresh


def require_grad(tensors, on):
    for t in tensors:
        t.requires_grad = on


def check_connected(outputs, inputs, caller):
    _, connected = autodiff.between(outputs, inputs)
    for i, x in enumerate(inputs):
        if x not in connected:
            raise ValueError(
                f"{caller}: the function's result does not depend on argument leaf {i} of shape {x.shape}. Leave it out of "
                "what you differentiate by; or, if it was cut off by .numpy(), .data or detach(), use operations instead"
            )


def depends_on_others(outputs, inputs):
    """Whether anything that requires a gradient, other than ``inputs``, went into ``outputs``."""
    if any([source.requires_grad for x in inputs for source in x.inputs]):
        return True
    seen, to_visit = set(inputs), list(outputs)
    while to_visit:
        out = to_visit.pop()
        if out.requires_grad and out not in seen:
            if out.op is None:
                return True
            seen.add(out)
            to_visit += out.inputs
    return False


def connect(g, inputs):
    """A derivative that happens to be constant is still a function of the inputs, whose own derivative is then zero."""
    _, connected = autodiff.between([g], inputs)
    others = [x for x in inputs if x not in connected]
    return constant_in(g, *others) if others else g


def ones_like(x):
    return as_tensor(np.ones(x.shape, x.dtype))


def zeros_like(x):
    return as_tensor(np.zeros(x.shape, x.dtype))
