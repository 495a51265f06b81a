"""How to check a gradient, and how checks lie.

A derivative has a definition, and the definition needs no rules: move the input a little and see how much the result moves.

    (f(x + h) - f(x - h)) / 2h        the central difference quotient

A rule and this quotient share no code, so where they agree both are probably right.  :func:`gradcheck` compares every
derivative of every output by every input, and :func:`gradgradcheck` does the same to the gradient, whose derivatives are
the second ones.

>>> import tinygrad_meta as tg
>>> gradcheck(tg.sin, tg.tensor([0.5, 1.0]))
True
>>> gradcheck(tg.relu, tg.tensor([1.0, 0.0], name="x"))  # doctest: +NORMALIZE_WHITESPACE
Traceback (most recent call last):
tinygrad_meta.gradcheck.GradcheckError: the derivative of output 0[1] by input 0 (x)[1] is 0 by the rules and 0.5 by finite
    differences, and they should be within 5.1e-06 of each other. Likely cause: a kink, with slope 0 to the left and 1 to the
    right, where the derivative is a matter of convention

A check can lie in both directions.  What this one does about it:

*It blames a rule for the quotient's own error.*  The quotient is wrong by about h^2 (a straight line through a curve), plus
the rounding error of f divided by h.  In float64 and with h = 1e-6 that is roughly 1e-10, in float32 a tenth: hence float64.

*It excuses a wrong rule.*  A tolerance of 1e-3, wide enough for bad quotients, lets a rule pass that is wrong by 1e-4.  So
the quotient's error is estimated, by taking it again with twice the step.  Where the quotient proves to be good, the rule
has to be as good.

*It asks with ones only.*  A rule that returns ``g * g * y`` in place of ``g * y`` is right whenever ``g`` is 0 or 1.  So after
all single entries, one random combination of them is compared as well.

*It looks at a lucky point.*  ``x`` and ``x ** 2`` agree at 1, a symmetric matrix equals its transpose, and at a kink every
slope between left and right is somebody's convention.  Check at random points; no code can do that for you.

*It stops too early.*  A rule that computes with NumPy gives a right gradient that no longer depends on anything: wrong only
from the second order on.  That is what :func:`gradgradcheck` is for.
"""

import numpy as np

from . import autodiff
from .tensor import Tensor, as_tensor, recording
from .validate import function, generator, number


class GradcheckError(AssertionError):
    """The rules and the finite differences disagree; the message describes the entry where they do so most."""


def gradcheck(f, inputs, eps=1e-6, atol=1e-5, rtol=1e-3, fast_mode=False, rng=None):
    """Check the gradient of a function against finite differences.

    Parameters
    ----------
    f : function of tensors, returning a tensor or a tuple of tensors
    inputs : tensor, array, or sequence of them
        The point to check at, best in float64.  Checked are the inputs that require a gradient or, if none does, all that
        are real floating-point numbers.  The others are held constant.
    eps : float
        The step of the difference quotient.
    atol, rtol : float
        ``atol + rtol * |numerical|`` is the most disagreement that finite differences are ever excused for.  Where they
        prove to be accurate, a hundredth of it, plus ten times their estimated error, is all that is allowed.
    fast_mode : bool
        For large inputs.  Compare only one random combination of all derivatives by each input, at the cost of one backward
        pass and four evaluations per input; an error is found, but not located.
    rng : numpy Generator or seed, optional
        Where the random combination comes from.  The same one every time unless given.

    Returns
    -------
    True

    Raises
    ------
    GradcheckError
        Describes the entry that is furthest off: input, index, both values and the likely cause.

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> gradcheck(tg.matmul, [np.eye(2), np.ones((2, 3))])
    True
    """
    return check(f, arguments(inputs), "output {}".format, eps, atol, rtol, fast_mode, seeded(rng))


def gradgradcheck(f, inputs, grad_outputs=None, eps=1e-6, atol=1e-5, rtol=1e-3, fast_mode=False, rng=None):
    """Check second derivatives: the gradient, as a function of ``inputs`` and ``grad_outputs``, against finite differences.

    The first derivatives are taken at their word: run :func:`gradcheck` as well.  Only where the outputs are not connected to
    an input are they checked here, too.  Parameters, result and error are the same, but for one:

    Parameters
    ----------
    grad_outputs : tensor, array, or sequence of them, optional
        What the chain rule starts from, one per output.  Random unless given.

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> gradgradcheck(tg.tanh, tg.tensor([0.5, 1.0]))
    True
    """
    rng, xs = seeded(rng), arguments(inputs)
    if not recording.get():
        raise ValueError("under no_grad() nothing is connected, and there would be nothing to check")
    outputs = evaluate(f, xs)
    if grad_outputs is None:
        grad_outputs = [rng.standard_normal(out.shape).astype(out.dtype) for out in outputs]
    gs = [Tensor(as_tensor(g).data, requires_grad=True, name=f"grad_outputs[{j}]") for j, g in enumerate(as_list(grad_outputs))]
    checked = [label(i, x) for i, x in enumerate(xs) if x.requires_grad]

    connected = autodiff.between(outputs, xs)[1]
    cut_off = [Tensor(x.data, requires_grad=x.requires_grad and x not in connected, name=x.name) for x in xs]
    if any(x.requires_grad for x in cut_off):  # a gradient of 0, right or wrong, has the derivative 0: nothing would be found
        check(f, cut_off, "output {}".format, eps, atol, rtol, True, rng)

    def gradient(*tensors):
        moved, cotangents = tensors[: len(xs)], tensors[len(xs) :]
        return pull_back(evaluate(f, moved), moved, cotangents, create_graph=True)

    return check(gradient, xs + gs, lambda j: f"the gradient by {checked[j]}", eps, atol, rtol, fast_mode, rng)


# -------------------------------------------------------------------------------------------------- the comparison
# All outputs are laid end to end in one vector, and so are all inputs.  The derivatives then form one matrix, the Jacobian,
# with a row for every entry of the outputs and a column for every entry of the inputs.


@np.errstate(all="ignore")  # an overflow shows in the comparison, and need not be announced on the way there
def check(f, xs, name_of_output, eps, atol, rtol, fast_mode, rng):
    number("eps", eps, above=0)
    number("atol", atol, least=0)
    number("rtol", rtol, least=0)
    outputs = evaluate(f, xs)
    checked = [i for i, x in enumerate(xs) if x.requires_grad]

    if not fast_mode:
        rows = [(j, index) for j, out in enumerate(outputs) for index in np.ndindex(out.shape)]
        columns = [(i, index) for i in checked for index in np.ndindex(xs[i].shape)]
        analytic = [flat(pull_back([outputs[j]], xs, [one_hot(outputs[j], index)])) for j, index in rows]
        quotients = [difference_quotient(f, xs, i, one_hot(xs[i], index), eps) for i, index in columns]
        numerical, error = np.reshape(quotients, (len(columns), 2, len(rows))).transpose(1, 2, 0)
        worst = furthest_off(np.reshape(analytic, numerical.shape), numerical, error, atol, rtol)
        if worst:
            row, column, *values = worst
            (j, output_index), (i, input_index) = rows[row], columns[column]
            u = np.eye(len(rows))[row]
            cause = likely_cause(f, xs, [outputs[j]], i, one_hot(xs[i], input_index), u, eps, *values[:2])
            raise GradcheckError(describe(name_of_output(j) + subscript(output_index),
                                          label(i, xs[i]) + subscript(input_index), *values, cause or "a wrong rule"))

    cotangents = [rng.standard_normal(out.shape) for out in outputs]
    u = flat(cotangents)
    for i, gradient in zip(checked, pull_back(outputs, xs, cotangents), strict=True):
        v = rng.standard_normal(xs[i].shape)
        quotient, error = difference_quotient(f, xs, i, v, eps)
        worst = furthest_off([[np.sum(gradient.data * v)]], [[u @ quotient]], [[np.abs(u) @ error]], atol, rtol)
        if worst:
            _, _, *values = worst
            cause = likely_cause(f, xs, outputs, i, v, u, eps, *values[:2]) or (
                "a wrong rule; without fast_mode, a check of a smaller input names the entry" if fast_mode else
                "a rule that is not linear in g, since every entry by itself is right"
            )
            raise GradcheckError(describe("a random combination of the outputs", f"{label(i, xs[i])} in a random direction",
                                          *values, cause))
    return True


def pull_back(outputs, xs, cotangents, create_graph=False):
    """What the rules say: the cotangents times the Jacobian, as one gradient for each checked input."""
    checked = {i: x for i, x in enumerate(xs) if x.requires_grad}
    try:
        gradients = autodiff.grad(outputs, list(checked.values()), cotangents, create_graph, allow_unused=True)
    except RuntimeError as error:
        raise GradcheckError(f"there is no gradient to compare: {error}") from error
    for (i, x), g in zip(checked.items(), gradients, strict=True):
        if g is not None and (g.shape, g.dtype) != (x.shape, x.dtype):
            raise GradcheckError(f"the gradient by {label(i, x)} has shape {g.shape} and dtype {g.dtype}, and the input itself "
                                 f"has shape {x.shape} and dtype {x.dtype}: they must be the same")
    return [Tensor(np.zeros(x.shape, x.dtype)) if g is None else g for x, g in zip(checked.values(), gradients, strict=True)]


def difference_quotient(f, xs, i, v, eps):
    """What the definition says: the derivative of all outputs when input ``i`` moves in direction ``v``; and its error.

    The error is estimated by what a step twice as long changes, and by what rounding ``f`` and ``x`` to their dtype can do.
    """
    there, back = outputs_at(f, xs, i, eps * v), outputs_at(f, xs, i, -eps * v)
    quotient = (there - back) / (2 * eps)
    coarser = (outputs_at(f, xs, i, 2 * eps * v) - outputs_at(f, xs, i, -2 * eps * v)) / (4 * eps)
    return quotient, np.abs(quotient - coarser) + rounding_error(there, quotient, xs[i], eps)


def rounding_error(values, slope, x, eps):
    largest = np.max(np.abs(values), initial=0) + np.abs(slope) * np.max(np.abs(x.data), initial=0)
    return np.finfo(x.dtype).eps * largest / eps


def outputs_at(f, xs, i, step):
    moved = Tensor(xs[i].data + step, xs[i].dtype, requires_grad=True, name=xs[i].name)
    return flat(evaluate(f, [*xs[:i], moved, *xs[i + 1 :]]))


def furthest_off(analytic, numerical, error, atol, rtol):
    """Row, column, both values and the allowed difference, where it is exceeded most; None if it is nowhere exceeded."""
    at_most = atol + rtol * np.abs(numerical)
    allowed = np.fmin(at_most, at_most / 100 + 10 * np.asarray(error))
    difference = np.abs(np.subtract(analytic, numerical))
    excess = np.where(difference <= allowed, 0, np.nan_to_num(difference / allowed, nan=np.inf))  # nan is as bad as can be
    if not excess.any():
        return None
    row, column = np.unravel_index(np.argmax(excess), excess.shape)
    return row, column, analytic[row][column], numerical[row][column], allowed[row][column]


# ----------------------------------------------------------------------------------------------------- the diagnosis


def describe(output, x, analytic, numerical, allowed, cause):
    return (f"the derivative of {output} by {x} is {analytic:.10g} by the rules and {numerical:.10g} by finite differences, "
            f"and they should be within {allowed:.3g} of each other. Likely cause: {cause}")


def likely_cause(f, xs, outputs, i, v, u, eps, analytic, numerical):
    """Why the two values differ; None if nothing speaks against a wrong rule."""
    if not np.isfinite([analytic, numerical]).all():
        return "the function or its derivative is infinite or undefined here, or the rule computes 0 times infinity"
    if xs[i] not in autodiff.between(outputs, [xs[i]])[1]:
        return "the output is not connected to this input: detach(), .data, .numpy() or no_grad() cut it off from the graph"
    coarse = [t.dtype for t in (xs[i], *outputs) if t.dtype.itemsize < 8]
    if coarse:
        return f"{coarse[0]} is too coarse for finite differences: check in float64"
    here = outputs_at(f, xs, i, 0 * v)
    if not np.array_equal(here, outputs_at(f, xs, i, 0 * v)):
        return "the function is not the same twice, which random numbers in it would explain"
    if np.abs(analytic - numerical) < 10 * rounding_error(here, numerical, xs[i], eps):
        return f"values too large for finite differences with a step of {eps}: try a larger eps"
    left = u @ (here - outputs_at(f, xs, i, -eps * v)) / eps
    right = u @ (outputs_at(f, xs, i, eps * v) - here) / eps
    if np.abs(analytic - numerical) < 0.51 * np.abs(right - left):  # the rule's value lies between the two slopes
        return (f"a kink, with slope {left:.3g} to the left and {right:.3g} to the right, where the derivative is a matter of "
                "convention")
    return None


# ------------------------------------------------------------------------------------------------------ the arguments


def arguments(inputs):
    """The inputs as fresh tensors, of which the ones to check require a gradient."""
    tensors = [as_tensor(x) for x in as_list(inputs)]
    some_ask = any(x.requires_grad for x in tensors)
    chosen = [x.requires_grad if some_ask else x.dtype.kind == "f" for x in tensors]
    if not any(chosen):
        raise ValueError("there is no input to differentiate by: give at least one of a floating-point dtype")
    return [Tensor(x.data, requires_grad=wanted, name=x.name) for x, wanted in zip(tensors, chosen, strict=True)]


def evaluate(f, xs):
    """The outputs of ``f`` that can have a derivative."""
    outputs = as_list(function("what is checked", f)(*xs))
    for out in outputs:
        if not isinstance(out, Tensor):
            raise TypeError(f"a function to be checked returns tensors, and this one returned a {type(out).__name__}")
    outputs = [out for out in outputs if out.dtype.kind == "f"]
    if not outputs:
        raise ValueError("there is no output to differentiate: the function returned no floating-point tensor")
    return outputs


def seeded(rng):
    return generator(0 if rng is None else rng)


def as_list(values):
    return list(values) if isinstance(values, (list, tuple)) else [values]


def one_hot(x, index):
    v = np.zeros(x.shape)
    v[index] = 1
    return v


def flat(values):
    """Tensors or arrays, laid end to end as one vector in float64."""
    return np.concatenate([np.zeros(0), *[np.ravel(x.data if isinstance(x, Tensor) else x) for x in values]])


def label(i, x):
    return f"input {i}" + (f" ({x.name})" if x.name else "")


def subscript(index):
    return f"[{', '.join(map(str, index))}]" if index else ""
