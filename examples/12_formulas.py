"""
The backward pass as formulas
=============================

A graph can be printed: how a value was computed, how the chain rule walks back from it, and
what each derivative is as a formula.  A gradient is an expression with a graph of its own,
so the same works for second derivatives.
"""

from pathlib import Path

import tinygrad_meta as tg

# %%
# F = (x1 + x2)(x2 + 1), and its derivative by everything on the way.

x1 = tg.tensor(2.0, requires_grad=True, name="x1")
x2 = tg.tensor(3.0, requires_grad=True, name="x2")
v1, v2 = x1 + x2, x2 + 1
v1.name, v2.name = "v1", "v2"
F = v1 * v2
print(tg.graph.trace(F))

# %%
# The last derivative alone.  It was computed, too, so it can be differentiated in the same
# way (in plain letters this time).

(dF_dx2,) = tg.grad(F, x2, create_graph=True)
print(f"dF/dx2 = {tg.graph.expression(dF_dx2)}\n")
dF_dx2.name = "dF/dx2"
print(tg.graph.trace(dF_dx2, ascii=True))

# %%
# The same derivative as a picture.  What the backward pass added to the graph is orange.

Path("results").mkdir(exist_ok=True)
tg.graph.draw(dF_dx2, "results/derivative.svg")

# %%
# tanh and its derivatives.

x = tg.tensor(0.5, requires_grad=True, name="x")
y = tg.tanh(x)
for n in range(5):
    print(f"{n}  {y.item():9.6f} = {tg.graph.expression(y)}")
    (y,) = tg.grad(y, x, create_graph=True)
