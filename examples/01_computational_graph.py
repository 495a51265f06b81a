"""
A computational graph, forwards and backwards
=============================================

The function of this example is small enough to differentiate by hand::

    F(x1, x2) = (x1 + x2)(x2 + 1)

The forward pass computes F in three steps, v1, v2 and v3, and each result remembers what
it was made from.  The backward pass walks the steps in reverse and gives five partial
derivatives.  They are computed like everything else, so they can be differentiated too:
that gives the Hessian, the matrix of second derivatives.
"""

from pathlib import Path

import tinygrad_meta as tg

# %%
# Forward pass
# ------------
# What does each result remember?

x1 = tg.tensor(2.0, requires_grad=True, name="x1")
x2 = tg.tensor(3.0, requires_grad=True, name="x2")
v1 = x1 + x2
v2 = x2 + 1
v3 = v1 * v2

for name, v in {"v1": v1, "v2": v2, "v3": v3}.items():
    v.name = name
    inputs = ", ".join(x.name or str(x.item()) for x in v.inputs)
    print(f"{name} = {v.item()}  made by {v.op.name} from {inputs}")

# %%
# Backward pass
# -------------
# F is v3.  Its gradient is followed from there to the inputs.

dF = tg.grad(v3, [v3, v1, v2, x1, x2], create_graph=True)
dF_dv3, dF_dv1, dF_dv2, dF_dx1, dF_dx2 = dF
print(f"dF/dv3                = {dF_dv3.item()}")
print(f"dF/dv1 = v2           = {dF_dv1.item()}")
print(f"dF/dv2 = v1           = {dF_dv2.item()}")
print(f"dF/dx1 = v2           = {dF_dx1.item()}")
print(f"dF/dx2 = v1 + v2      = {dF_dx2.item()}")

# %%
# Both passes in one picture: values in boxes, operations in circles, and in purple what
# flows back along the arrows.

Path("results").mkdir(exist_ok=True)
tg.graph.draw(v3, "results/computational_graph.svg")

# %%
# Why a sum?  x2 is used twice, a fork in the graph: F feels a change of x2 through v1 and
# through v2.

through_v1 = dF_dv1 * tg.grad(v1, x2)[0]
through_v2 = dF_dv2 * tg.grad(v2, x2)[0]
together = through_v1 + through_v2
print(f"through v1: {through_v1.item()}   through v2: {through_v2.item()}")
print(f"together:   {together.item()}")

# %%
# Second derivatives
# ------------------
# The gradient of the gradient.  ``None`` says: does not depend on it.

for name, first_derivative in {"dF/dx1": dF_dx1, "dF/dx2": dF_dx2}.items():
    row = tg.grad(first_derivative, [x1, x2], allow_unused=True)
    print(f"{name} by x1, x2:", *[None if d is None else d.item() for d in row])

# The same from the function, as a matrix: the Hessian.
print(tg.func.hessian(lambda x: (x[0] + x[1]) * (x[1] + 1))(tg.tensor([2.0, 3.0])).numpy())
