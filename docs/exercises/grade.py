"""Grade your answers to the exercises: what is still wrong, and why.

    python docs/exercises/grade.py        all of them
    python docs/exercises/grade.py 3      one

Each exercise is a file beside this one.  It asks for one function, which is called like the file without its number.
"""

import importlib.util
import re
import sys
import traceback
from itertools import pairwise
from pathlib import Path
from textwrap import fill

import numpy as np

import tinygrad_meta as tg

FOLDER = Path(__file__).parent
FILES = {int(path.name[:2]): path for path in sorted(FOLDER.glob("[0-9][0-9]_*.py"))}
CHECKS = {}  # number -> function that takes an answer and raises Wrong


class Wrong(AssertionError):
    """What is wrong with an answer, as a sentence or two."""


def check(number):
    """Enter the function below this line as the one that checks an exercise."""
    return lambda function: CHECKS.setdefault(number, function)


def name_of(number):
    return FILES[number].stem[3:]


def answer_in(path):
    """The function that the file of an exercise or a solution defines."""
    spec = importlib.util.spec_from_file_location(f"exercise_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    require(hasattr(module, path.stem[3:]), f"{path.name} should define a function called {path.stem[3:]}")
    return getattr(module, path.stem[3:])


def is_begun(number):
    """Whether there is something in place of the ``...`` in the file of an exercise."""
    return not re.search(r"^ +(\w+ = )?\.\.\.$", FILES[number].read_text(encoding="utf-8"), re.MULTILINE)


def complaint(number, function=None):
    """What is wrong with an answer, by default the one in the exercise's file; None if it is right."""
    file = function.__code__.co_filename if function else str(FILES[number])
    try:
        CHECKS[number](function or answer_in(FILES[number]))
    except Wrong as wrong:
        return str(wrong)
    except SyntaxError as error:
        return f"Python cannot read line {error.lineno}: {error.msg}"
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        return f"your code raised {type(error).__name__}{f' in line {lines[-1]}' if lines else ''}: {error}"
    return None


def verdict(number, wrong):
    return fill(f"{number} {name_of(number)}: {f'not yet. {wrong}' if wrong else 'right.'}", 75, subsequent_indent="   ")


def grade(number, function=None):
    """Print what is wrong with an answer, by default the one in the exercise's file."""
    print(verdict(number, complaint(number, function)))


# -------------------------------------------------------------------------------------------------- what checks ask for


def require(condition, message):
    if not condition:
        raise Wrong(message)


def call(function, *args):
    """What the answer returns, if it returns anything."""
    returned = function(*args)
    require(returned is not None, f"{function.__name__} returned None: put your code in place of the ... and return the result")
    return returned


def require_tensor(value, what, shape=None):
    require(isinstance(value, tg.Tensor), f"{what} must be a tensor, and is of type {type(value).__name__}: use the operations "
                                          "of tinygrad_meta, and no arrays")
    require(shape is None or value.shape == shape, f"{what} must have shape {shape}, and has {value.shape}")


def close(actual, expected, tolerance=1e-9):
    """Whether two arrays, or tensors, agree in shape and in value."""
    actual, expected = (np.asarray(x.data if isinstance(x, tg.Tensor) else x) for x in (actual, expected))
    return actual.shape == expected.shape and bool(np.allclose(actual, expected, rtol=tolerance, atol=tolerance))


def shown(x):
    x = np.asarray(x.data if isinstance(x, tg.Tensor) else x, dtype=float)
    return x.round(4).tolist()


# ---------------------------------------------------------------------------------------------------------- the engine


@check(1)
def log_rule(answer):
    x = tg.tensor([0.5, 2.0, 4.0], requires_grad=True, name="x")
    g, out = tg.tensor([1.0, 10.0, -2.0]), tg.log(x)
    found = call(answer, g, out, x)
    require_tensor(found, "the gradient", x.shape)
    expected = g.data / x.data
    require(not close(found, 1 / x.data), "1 / x is the local derivative. A rule continues a chain: multiply by g, the "
                                          "gradient that arrives at the result")
    require(close(found, expected), f"for x = {shown(x)} and g = {shown(g)} it should be {shown(expected)}, and is "
                                    f"{shown(found)}")
    second = tg.grad(tg.sum(found), x, allow_unused=True)[0] if found.requires_grad else None
    require(second is not None, "the first derivative is right, but it does not depend on x any more, so there is no second "
                                "one. Use operations on tensors; .data and NumPy cut the graph")
    require(close(second, -g.data / x.data**2), "the first derivative is right, and the derivative of your result by x is "
                                                "wrong: part of it was computed from .data")


@check(2)
def add_contribution(answer):
    x, other, three, four = (tg.tensor(v) for v in (1.0, 1.0, 3.0, 4.0))
    try:
        gradients = call(answer, {other: three}, x, three)
    except KeyError:
        raise Wrong("x is not in the dictionary before its first contribution arrives: ask with `x in gradients`") from None
    require(isinstance(gradients, dict) and x in gradients, "x must be in the dictionary that is returned")
    require_tensor(gradients[x], "the gradient of x", ())
    require(gradients[x].item() == 3, f"the first contribution, 3, is the gradient so far, and not {gradients[x].item()}")
    gradients = call(answer, gradients, x, four)
    require_tensor(gradients[x], "the gradient of x", ())
    require(gradients[x].item() != 4, "the second contribution has replaced the first. At a fork both count: 3 and 4 make 7")
    require(gradients[x].item() == 7, f"contributions of 3 and 4 make 7, and not {gradients[x].item()}")
    require(gradients.get(other) is three, "the entries of other tensors must stay as they are")
    require((three.item(), four.item()) == (3, 4), "the contributions themselves must stay as they are")


@check(3)
def topological_order(answer):
    x = tg.tensor(2.0, requires_grad=True, name="x")
    u = x * x
    three = tg.tensor(3.0, requires_grad=True, name="three")
    w = three * u
    F = u * w
    require_order(call(answer, F), {"x": x, "u": u, "three": three, "w": w, "F": F})
    require("order" not in attributes(answer.__code__), "find the order without t.order")

    t = tg.tensor(1.0, requires_grad=True)
    for _ in range(16):
        t = t * t
    found = call(answer, t)
    require(len(found) == 17, f"x and 16 squares in a row are 17 tensors, and the list has {len(found)}: a tensor that is used "
                              "twice is entered once")
    chain = [x]
    for _ in range(10_000):
        chain.append(tg.sin(chain[-1]))
    try:
        found = call(answer, chain[-1])
    except RecursionError:
        raise Wrong("Python does not allow functions to call themselves 10,000 times inside each other: keep a list of what is "
                    "to be visited instead") from None
    require([id(t) for t in found] == [id(t) for t in chain], "a chain of 10,000 operations has one order, from x to the last")


def require_order(found, names):
    require(isinstance(found, list), "the result must be a list of tensors")
    label = {id(t): name for name, t in names.items()}
    require([t for t in found if id(t) not in label] == [], "there are things in the list that the output was not computed "
                                                            "from")
    order = [label[id(t)] for t in found]
    for name in names:
        require(name in order, f"for u = x * x, w = three * u, F = u * w, {name} is missing: {order}")
        require(order.count(name) == 1, f"for u = x * x, w = three * u, F = u * w, {name} is in the list more than once: "
                                        f"{order}")
    for name, t in names.items():
        for x in t.inputs:
            require(order.index(label[id(x)]) < order.index(name), f"{name} comes before its input {label[id(x)]}: {order}")


def attributes(code):
    """Names of attributes and globals that a function uses, functions inside it included."""
    inner = [constant for constant in code.co_consts if hasattr(constant, "co_names")]
    return set(code.co_names).union(*map(attributes, inner))


@check(4)
def backward_pass(answer):
    x1, x2, one, three = (tg.tensor(v, requires_grad=True) for v in (2.0, 3.0, 1.0, 3.0))
    v1, v2 = x1 + x2, x2 + one
    F = v1 * v2
    require_gradients(answer, F, "F = (x1 + x2)(x2 + 1) at 2 and 3", {"F": F, "v1": v1, "v2": v2, "x1": x1, "x2": x2},
                      {("x2", 4.0): "one contribution to x2 is missing: it is used twice, and v2 + v1 = 4 + 5",
                       ("x2", 5.0): "one contribution to x2 is missing: it is used twice, and v2 + v1 = 4 + 5"})
    u = x1 * x1
    w = three * u
    F = u * w
    too_early = "u was visited before w, and passed on a gradient that was not complete: visit the newest tensor first"
    require_gradients(answer, F, "u = x * x, w = three * u, F = u * w at x = 2", {"F": F, "w": w, "u": u, "x": x1},
                      {("x", 48.0): too_early})
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    columns = tg.sum(x * x, axis=0)
    F = tg.sum(columns * columns)
    require_gradients(answer, F, "the sum of the squared columns of x * x", {"columns": columns, "x": x}, {})


def require_gradients(answer, output, formula, tensors, causes):
    found = call(answer, output)
    require(isinstance(found, dict), "the result must be a dictionary of gradients by tensor")
    for (name, t), expected in zip(tensors.items(), tg.grad(output, list(tensors.values())), strict=True):
        require(t in found, f"for {formula}, there is no gradient for {name}")
        require_tensor(found[t], f"for {formula}, the gradient of {name}", t.shape)
        if not close(found[t], expected):
            cause = causes.get((name, found[t].item() if found[t].size == 1 else None))
            raise Wrong(f"for {formula}, the gradient of {name} is {shown(expected)}, and not {shown(found[t])}" +
                        (f": {cause}" if cause else ""))


@check(5)
def sum_to(answer):
    require("sum_to" not in attributes(answer.__code__), "find the sum without tg.sum_to, which is the function asked for")
    for shape_of_g, shape in [((2, 3), (1, 3)), ((2, 3), (2, 1)), ((2, 3), (3,)), ((2, 3), ()), ((2, 3), (2, 3)),
                              ((4, 2, 3), (2, 1)), ((4, 1, 3), (1, 3))]:
        g = np.random.default_rng(0).integers(1, 9, shape_of_g).astype(float)
        before, found = g.copy(), np.asarray(call(answer, g, shape))
        require(found.shape == shape, f"g of shape {shape_of_g}, summed to {shape}, came out with shape {found.shape}: " + (
                "an axis that was added in front is gone after the sum" if len(shape) < len(shape_of_g) else
                "keep an axis of length 1 where one was repeated (keepdims=True)"))
        expected = tg.sum_to(tg.tensor(g), shape).data
        n = g.size // max(expected.size, 1)
        require(n == 1 or not close(found, expected / n), "this is the mean. Each of the repeated entries made a contribution "
                                                          "of its own, and contributions add up")
        require(close(found, expected), f"g = {shown(g)}, summed to shape {shape}, should be {shown(expected)}, and is "
                                        f"{shown(found)}")
        require(close(g, before), "g itself must stay as it is")


@check(6)
def layer_gradients(answer):
    rng = np.random.default_rng(0)
    x, weight, bias, g = (rng.standard_normal(shape).round(1) for shape in [(4, 3), (3, 2), (1, 2), (4, 2)])
    found = call(answer, g, x, weight, bias)
    require(isinstance(found, (tuple, list)) and len(found) == 3, "return three arrays: the gradients of x, weight and bias")
    tensors = [tg.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    expected = tg.grad(tg.matmul(tensors[0], tensors[1]) + tensors[2], tensors, g)
    for name, t, actual, due in zip(("x", "weight", "bias"), tensors, found, expected, strict=True):
        hint = ": the bias was stretched to all points, so its gradient is summed over them" if name == "bias" else ""
        require(np.shape(actual) == t.shape, f"the gradient of {name} must have its shape {t.shape}, and has "
                                             f"{np.shape(actual)}{hint}")
        require(close(actual, due), f"the gradient of {name} should be {shown(due)}, and is {shown(actual)}{hint}")


@check(7)
def finite_differences(answer):
    rng = np.random.default_rng(0)
    for shape in [(3,), (2, 2), ()]:
        x, w = rng.uniform(-1, 1, shape), rng.uniform(1, 2, shape)
        before, found = x.copy(), call(answer, lambda x, w=w: float(np.sum(w * np.exp(x))), x)
        require(np.shape(found) == shape, f"for x of shape {shape} the gradient has shape {np.shape(found)}: it should be the "
                                          "same")
        require(np.array_equal(x, before), "x has been changed: move a copy")
        error = np.max(np.abs(found - w * np.exp(x)))
        require(error > 1e-2 or error < 2e-8, f"nearly: it is off by {error:.0e}. A difference to one side is wrong by about "
                                              "h, one to both sides by h squared; and with h far below 1e-6, rounding takes "
                                              "over")
        require(error < 2e-8, f"the gradient of sum(w * exp(x)) for w = {shown(w)} at x = {shown(x)} is "
                              f"{shown(w * np.exp(x))}, and not {shown(found)}")


# --------------------------------------------------------------------------------------------------- second derivatives


@check(8)
def nth_derivative(answer):
    for text, f, x, expected in [("x * x * x at 2", lambda x: x * x * x, 2.0, [12.0, 12.0, 6.0]),
                                 ("sin(2 x) at 0.3", lambda x: tg.sin(2 * x), 0.3,
                                  [2 * np.cos(0.6), -4 * np.sin(0.6), -8 * np.cos(0.6), 16 * np.sin(0.6)])]:
        for n, due in enumerate(expected, 1):
            try:
                found = call(answer, f, x, n)
            except ValueError as error:
                require("no gradient for input" not in str(error) or n == 1, "the first gradient has no history, so that it "
                        "cannot be differentiated: the backward pass has to be recorded (create_graph=True)")
                raise
            require(not isinstance(found, tg.Tensor), "return a Python number: .item() of the tensor")
            require(close(found, due), f"derivative {n} of {text} is {due:.6g}, and not {found:.6g}")


@check(9)
def hvp(answer):
    x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    v = tg.tensor([1.0, -1.0, 0.5])

    def f(x):
        return tg.sum(x**3) + x[0] * x[1] * x[2]

    try:
        found = call(answer, f, x, v)
    except ValueError as error:
        require("no gradient for input" not in str(error), "the first gradient has no history, so that it cannot be "
                "differentiated: the backward pass has to be recorded (create_graph=True)")
        raise
    H = tg.func.hessian(f)(x).data
    require_tensor(found, "H v", x.shape)
    require(not close(found, H.sum(axis=0)), "this is H times a vector of ones: multiply the gradient by v before the second "
                                             "grad")
    require(not close(found, tg.grad(f(x), x)[0].data * v.data), "this is the gradient times v, and no Hessian is in it yet")
    require(close(found, H @ v.data), f"H v should be {shown(H @ v.data)}, and is {shown(found)}")


# ------------------------------------------------------------------------------------------------------- meta-learning


def parameters(sizes, rng, tasks=()):
    return [tuple([tg.tensor(rng.standard_normal((*tasks, *shape)) * 0.7, requires_grad=True) for shape in ((i, o), (1, o))])
            for i, o in pairwise(sizes)]


@check(10)
def network(answer):
    rng = np.random.default_rng(0)
    for tasks in [(), (2,)]:
        params, x = parameters([2, 4, 3, 1], rng, tasks), tg.tensor(rng.standard_normal((*tasks, 5, 2)))
        found, expected = call(answer, params, x), tg.nn.mlp(params, x, "tanh")
        of = f"for {tasks[0]} tasks, " if tasks else ""
        require_tensor(found, f"{of}the output", expected.shape)
        require(not close(found, tg.tanh(expected)), "there is a tanh after the last layer, which keeps all outputs between -1 "
                                                     "and 1")
        require(not close(found, tg.nn.mlp(params, x, "relu")), "the activation is tanh, and not relu")
        require(close(found, expected), f"{of}the output is wrong: for every layer x @ weight + bias, and then tanh, except at "
                                        "the end")
        flat = [p for layer in params for p in layer]
        gradients = tg.grad(tg.sum(found), flat, allow_unused=True)
        require(all(g is not None for g in gradients), "the output does not depend on all parameters: .data and NumPy cut the "
                                                       "graph")


@check(11)
def sample_task(answer):
    classes, each = np.indices((6, 10))
    examples = np.stack([classes, each], axis=-1).astype(float)  # an example is its class and its number
    ways, shots, queries = 3, 2, 4
    first_classes = set()
    for seed in range(20):
        task = call(answer, examples, ways, shots, queries, np.random.default_rng(seed))
        require(isinstance(task, (tuple, list)) and len(task) == 4, "return four arrays: support_x, support_y, query_x, "
                                                                    "query_y")
        parts, class_of = {}, {}
        for name, x, y, n in [("support", *task[:2], shots), ("query", *task[2:], queries)]:
            x, y = np.asarray(x), np.asarray(y)
            require(x.shape == (ways * n, 2), f"{name}_x must have shape (ways * {n}, features) = {(ways * n, 2)}, and has "
                                              f"{x.shape}")
            require(y.shape == (ways * n,), f"{name}_y must have shape {(ways * n,)}, and has {y.shape}")
            require(y.dtype.kind in "iu", f"labels are integers, and {name}_y has dtype {y.dtype}")
            require(sorted(y.tolist()) == sorted([*range(ways)] * n), f"each label from 0 to {ways - 1} must occur {n} times "
                    f"in {name}_y, and it is {y.tolist()}: classes are numbered anew in each task")
            parts[name] = {tuple(point) for point in x.tolist()}
            require(len(parts[name]) == len(x), f"an example occurs twice in {name}_x")
            for label, point in zip(y.tolist(), x.tolist(), strict=True):
                require(class_of.setdefault(label, point[0]) == point[0], f"label {label} stands for examples of two classes")
        require(len(set(class_of.values())) == ways, "two labels stand for the same class")
        require(not parts["support"] & parts["query"], "a query point is in the support set too. The learner has seen its "
                                                       "label, and the result would measure memory")
        first_classes.add(class_of[0])
    require(len(first_classes) > 1, "label 0 stands for the same class in 20 tasks: choose classes and their order at random, "
                                    "with rng")


def quadratic_task():
    """Parameters, a loss that is no quadratic function of them, and the two sets of a task."""
    rng = np.random.default_rng(1)
    params = [tg.tensor(rng.standard_normal(shape), requires_grad=True) for shape in ((1, 3), (3, 1))]
    support, query = (tuple(rng.standard_normal((2, 4, 1))) for _ in range(2))
    return params, lambda p, x, y: tg.nn.mse_loss(tg.matmul(tg.tanh(tg.matmul(x, p[0])), p[1]), y), support, query


def step_and_meta_gradient(answer, step_size=0.3):
    """What an answer makes of the task above, after its values were compared with what is due."""
    params, loss_fn, support, query = quadratic_task()
    before = [p.numpy() for p in params]
    adapted = call(answer, loss_fn, params, support, step_size)
    require(isinstance(adapted, (list, tuple)) and len(adapted) == 2, "return a list with one tensor for each parameter")
    gradients = tg.grad(loss_fn(params, *support), params)
    for i, (p, g, new) in enumerate(zip(params, gradients, adapted, strict=True)):
        require_tensor(new, f"adapted parameter {i}", p.shape)
        require(not close(new, p.data + step_size * g.data), "this step goes uphill: subtract the gradient")
        require(close(new, p.data - step_size * g.data), f"adapted parameter {i} should be "
                                                         f"{shown(p.data - step_size * g.data)}, and is {shown(new)}")
    require(all(close(p, b) for p, b in zip(params, before, strict=True)), "the old parameters must stay as they are")
    loss = loss_fn(adapted, *query)
    found = tg.grad(loss, params, allow_unused=True) if loss.requires_grad else [None]
    require(all(g is not None for g in found), "the values are right, but nothing leads back from the adapted parameters to "
            "the old ones: .data, detach() and tg.tensor(...) make new leaves. Compute with the tensors themselves")
    of_maml = tg.grad(loss_fn(tg.meta.adapt(loss_fn, params, support, step_size), *query), params)
    first_order = tg.grad(loss_fn(tg.meta.adapt(loss_fn, params, support, step_size, first_order=True), *query), params)
    return [all(close(a, b) for a, b in zip(found, due, strict=True)) for due in (of_maml, first_order)]


@check(12)
def inner_step(answer):
    is_maml, is_first_order = step_and_meta_gradient(answer)
    require(not is_first_order, "the values are right, and the meta-gradient is that of first-order MAML: the inner gradient "
                                "is a constant. It has to be recorded (create_graph=True)")
    require(is_maml, "the values are right, but the derivative of the query loss by the old parameters is not: it goes two ways, "
                     "through the old parameter itself (no detach() there) and through the gradient")
    params, loss_fn, support, _ = quadratic_task()
    call(answer, loss_fn, params, support, 0.3)
    require(all(p.grad is None for p in params), "backward() leaves gradients in .grad, and the next step would add to them: use "
                                                 "tg.grad")


@check(13)
def first_order_step(answer):
    require(Ellipsis not in answer.__code__.co_consts, "the line with ... is still to be filled in")
    is_maml, is_first_order = step_and_meta_gradient(answer)
    require(not is_maml, "the meta-gradient is still that of MAML: the gradients have to become constants")
    require(is_first_order, "the values are right, but the meta-gradient is not the query gradient at the adapted parameters")


@check(14)
def is_second_order(answer):
    params, loss_fn, support, query = quadratic_task()
    sizes = [p.size for p in params]

    def meta(theta, first_order=False):
        theta = np.asarray(theta, dtype=float)
        moved = [tg.tensor(part.reshape(p.shape), requires_grad=True)
                 for part, p in zip(np.split(theta, np.cumsum(sizes)[:-1]), params, strict=True)]
        loss = loss_fn(tg.meta.adapt(loss_fn, moved, support, 0.3, first_order=first_order), *query)
        return loss.item(), np.concatenate([g.data.ravel() for g in tg.grad(loss, moved)])

    theta = np.concatenate([p.data.ravel() for p in params])
    for right, what, gradient in [
        (True, "the gradient of MAML", lambda theta: meta(theta)[1]),
        (False, "the gradient of first-order MAML", lambda theta: meta(theta, first_order=True)[1]),
        (False, "zeros", np.zeros_like),
        (False, "half of the gradient of MAML", lambda theta: meta(theta)[1] / 2),
        (False, "a gradient of which one entry is wrong by 1 %",
         lambda theta: meta(theta)[1] * (1 + 0.01 * np.eye(theta.size)[-1])),
    ]:
        found = call(answer, lambda theta: meta(theta)[0], gradient, theta.copy())
        require(isinstance(found, (bool, np.bool_)), f"return True or False, and not {found!r}")
        require(bool(found) == right, f"it says {bool(found)} to {what}")


@check(15)
def attention(answer):
    rng = np.random.default_rng(0)
    query, support, targets = (tg.tensor(rng.standard_normal(shape)) for shape in [(3, 2), (4, 2), (4, 1)])
    sharpness = tg.tensor(3.0, requires_grad=True)
    unit = [x.data / np.linalg.norm(x.data, axis=-1, keepdims=True) for x in (query, support)]

    def weighted(a, b, sharpness, axis=-1):
        return (tg.softmax(tg.tensor(sharpness * (a @ b.T)), axis).data) @ targets.data

    found, expected = call(answer, query, support, targets, sharpness), weighted(*unit, 3.0)
    require_tensor(found, "the prediction", (3, 1))
    for wrong, cause in [(weighted(query.data, support.data, 3.0), "the vectors were not scaled to length 1, so these are no "
                                                                   "cosines"),
                         (weighted(*unit, 1.0), "the sharpness was left out"),
                         (weighted(*unit, 3.0, axis=0), "the softmax runs over the queries: the weights of one query, over the "
                                                        "support points, have to add up to 1"),
                         (weighted(unit[0], support.data, 3.0), "the support points were not scaled to length 1"),
                         (weighted(query.data, unit[1], 3.0), "the queries were not scaled to length 1")]:
        require(not close(found, wrong), cause)
    require(close(found, expected), f"the prediction should be {shown(expected)}, and is {shown(found)}")
    require(found.requires_grad and tg.grad(tg.sum(found), sharpness, allow_unused=True)[0] is not None,
            "the prediction does not depend on the sharpness any more: .data, .item() and NumPy cut the graph")


def main():
    unknown = [argument for argument in sys.argv[1:] if not argument.isdecimal() or int(argument) not in FILES]
    if unknown:
        return f"there is no exercise {unknown[0]}: they are numbered from 1 to {len(FILES)}"
    numbers = [int(argument) for argument in sys.argv[1:]] or list(FILES)
    complaints = {number: complaint(number) for number in numbers}
    for number, wrong in complaints.items():
        print(verdict(number, wrong))
    return 1 if any(complaints.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
