"""How to check a gradient, and how checks lie.

A derivative has a definition, and the definition needs no rules: move the input a little and see how much the result moves.

    (f(x + h) - f(x - h)) / 2h        the central difference quotient

A rule and this quotient share no code, so where they agree both are probably right.  :func:`gradcheck` compares every
derivative of every output by every input, and :func:`gradgradcheck` does the same to the gradient, whose derivatives are
the second ones.

>>> import tinygrad_meta as tg
>>> gradcheck(tg.sin, tg.tensor([0.5, 1.0]))
True
>>> gradcheck(tg.relu, tg.tensor([1.0, 0.0], name="x"))
Traceback (most recent call last):
tinygrad_meta.gradcheck.GradcheckError: the derivative of output[1] by input 0 (x)[1] is 0 by the rules and 0.5 by finite \
differences, and they should be within 5.05e-06 of each other. Likely cause: a kink, with slope 0 to the left and 1 to the \
right, where the derivative is a matter of convention

A check can lie in both directions.  What this one does about it:

*It blames a rule for the quotient's own error.*  The quotient is wrong by about h^2 (a straight line through a curve), plus
the rounding error of f divided by h.  In float64 and with h = 1e-6 that is roughly 1e-10, in float32 a tenth: hence float64.

*It excuses a wrong rule.*  A tolerance of 1e-3, wide enough for bad quotients, lets a rule pass that is wrong by 1e-4.  So
the quotient's error is estimated, by taking it again with twice the step.  Where the quotient proves to be good, the rule
has to be as good.

*It asks with ones only.*  A rule that returns ``g * g * y`` in place of ``g * y`` is right whenever ``g`` is 0 or 1.  So after
all single entries, one random combination of them is compared as well.

*It looks at a lucky point.*  ``x`` and ``x ** 2`` agree at 1, a symmetric matrix equals its transpose, and at a kink every slope
between left and right is somebody's convention.  Check at random points; no code can do that for you.

*It stops too early.*  A rule that computes with NumPy gives a right gradient that no longer depends on anything: wrong only
from the second order on.  That is what :func:`gradgradcheck` is for.
"""

import numpy as np

from . import autodiff
from .tensor import Tensor, as_tensor


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
    rng = generator(rng)
    xs = arguments(inputs)
    outputs = evaluate(f, xs)
    names = ["output"] if len(outputs) == 1 else [f"output {j}" for j in range(len(outputs))]
    return check(f, xs, outputs, names, eps, atol, rtol, fast_mode, rng)


def gradgradcheck(f, inputs, grad_outputs=None, eps=1e-6, atol=1e-5, rtol=1e-3, fast_mode=False, rng=None):
    """Check second derivatives: the gradient, as a function of the inputs and of ``grad_outputs``, against finite differences.

    Parameters
    ----------
    grad_outputs : tensor, array, or sequence of them, optional
        What the outputs' gradients start with, one per output.  Random unless given.

    The other parameters, and what is returned and raised, are those of :func:`gradcheck`.

    Examples
    --------
    A rule that leaves the graph is right to first order only:

    >>> import tinygrad_meta as tg
    >>> half_constant = lambda x: x * x.detach() * 2   # its gradient, 2x, is right for x * x; but it is a constant
    >>> gradgradcheck(lambda x: x * x, tg.tensor(3.0))
    True
    """
    rng = generator(rng)
    xs = arguments(inputs)
    checked = [i for i, x in enumerate(xs) if x.requires_grad]
    outputs = evaluate(f, xs)
    if grad_outputs is None:
        grad_outputs = [rng.standard_normal(out.shape).astype(out.dtype) for out in outputs]
    grad_outputs = [Tensor(g, requires_grad=True, name=f"grad_outputs[{j}]") for j, g in enumerate(as_list(grad_outputs))]

    def gradient(*tensors):
        xs, gs = tensors[: len(tensors) - len(grad_outputs)], tensors[len(tensors) - len(grad_outputs) :]
        return pull_back(evaluate(f, xs), gs, xs, create_graph=True)

    xs += grad_outputs
    names = [f"the gradient by {label(i, xs[i])}" for i in checked]
    return check(gradient, xs, evaluate(gradient, xs), names, eps, atol, rtol, fast_mode, rng)


# -------------------------------------------------------------------------------------------------- the comparison
# All outputs are laid end to end in one vector, and so are all inputs: the derivatives form one matrix, the Jacobian J, with
# a row per entry of the outputs and a column per entry of the inputs.


@np.errstate(all="ignore")  # an overflow shows in the comparison, and need not be announced on the way there
def check(f, xs, outputs, names, eps, atol, rtol, fast_mode, rng):
    checked = [(i, x) for i, x in enumerate(xs) if x.requires_grad]
    if not fast_mode:
        rows = 
