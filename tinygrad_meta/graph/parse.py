"""From what a user typed to a graph: ``(x1 + x2) * (x2 + 1)`` is read, piece by piece, and never run as Python."""

import ast
from math import isfinite

from .. import ops
from ..tensor import tensor

OPERATORS = {ast.Add: ops.add, ast.Sub: ops.subtract, ast.Mult: ops.multiply, ast.Div: ops.divide, ast.Pow: ops.power,
             ast.USub: ops.negative, ast.UAdd: lambda x: x}
FUNCTIONS = {f.__name__: f for f in (
    ops.abs, ops.cos, ops.exp, ops.expm1, ops.leaky_relu, ops.log, ops.log1p, ops.maximum, ops.minimum, ops.relu, ops.sigmoid,
    ops.sign, ops.silu, ops.sin, ops.softplus, ops.sqrt, ops.square, ops.tanh)}  # fmt: skip
OF_TWO = ("maximum", "minimum")
LONGEST, MOST = 10_000, 50  # characters and operations: the table of a larger expression takes long, and explains nothing


def parse(expression, values):
    """Compute a formula of numbers, and return the result with its graph.

    Parameters
    ----------
    expression : str
        In Python's notation: numbers, variables, ``+ - * / **``, parentheses, and functions of this package.
    values : dict
        The number that each variable stands for.

    Returns
    -------
    F : Tensor
    variables : list of Tensors
        In the order of ``values``.

    Examples
    --------
    >>> F, (x,) = parse("sin(x) + x**2", {"x": 2.0})
    >>> F
    Tensor(4.909297426825682, dtype=float64, op=add)
    """
    if len(expression) > LONGEST:
        raise ValueError(f"an expression has at most {LONGEST:,} characters, and this one has {len(expression):,}")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", None) or str(error) or "it is nested too deeply"
        raise ValueError(f"{shortened(expression)} is not an expression: {reason.partition(';')[0]}") from None
    operations = len([node for node in ast.walk(tree) if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Call))])
    if operations > MOST:
        raise ValueError(f"an expression has at most {MOST} operations, and this one has {operations:,}")
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for name in values:
        if name == "F":
            raise ValueError("F is the result here: call the variable something else")
        if name in FUNCTIONS:
            raise ValueError(f"{name} is a function here: call the variable something else")
        if name not in used:
            raise ValueError(f"{name} has a value and does not occur in {shortened(expression)}")
    variables = {name: tensor(float(value), requires_grad=True, name=name) for name, value in values.items()}
    try:
        return compute(tree.body, variables), list(variables.values())
    except RecursionError:
        raise ValueError("the expression is nested too deeply") from None


def compute(node, variables):
    """The value of one piece of the syntax tree, from the values of its pieces."""
    match node:
        case ast.Constant(value=int() | float() as number) if type(number) is not bool:
            return constant(number)
        case ast.Name(id=name) if name in variables:
            return variables[name]
        case ast.Name(id=name):
            raise ValueError(f"{name} has no value: add {name}=1.5, or whatever it is to be")
        case ast.BinOp(left=x, op=operator, right=y) if type(operator) in OPERATORS:
            return OPERATORS[type(operator)](compute(x, variables), compute(y, variables))
        case ast.UnaryOp(op=operator, operand=x) if type(operator) in OPERATORS:
            return OPERATORS[type(operator)](compute(x, variables))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            if name not in FUNCTIONS:
                raise ValueError(f"{name!r} is no function here; there are {', '.join(FUNCTIONS)}")
            expected = 2 if name in OF_TWO else 1
            if len(arguments) != expected:
                raise ValueError(f"{name} takes {expected} argument{'s' * (expected > 1)}, and got {len(arguments)}")
            return FUNCTIONS[name](*[compute(x, variables) for x in arguments])
    raise ValueError(f"{shortened(ast.unparse(node))} is more than numbers, variables, + - * / **, parentheses and functions")


def shortened(text):
    return repr(text if len(text) <= 60 else text[:57] + "...")


def constant(number):
    try:
        number = float(number)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise ValueError("a number in the expression is too large")
    return tensor(number)
