"""
Derivatives of any order
========================

A gradient is an expression like any other, so it can be differentiated, and so can the
result, and so on.  Here: tanh and its derivatives, held against the power series of tanh,
which was known long before there were computers::

    tanh(x) = x - x^3/3 + 2 x^5/15 - 17 x^7/315 + ...
"""

from math import factorial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_meta as tg

# %%
# 401 points are differentiated at once.  Each entry of the derivative depends on one entry
# of x alone, so the gradient of the sum holds every entry's derivative.

x = tg.tensor(np.linspace(-4, 4, 401), requires_grad=True)  # the one in the middle is 0
derivatives = [tg.tanh(x)]
for _ in range(7):
    derivatives += tg.grad(derivatives[-1].sum(), x, create_graph=True)

# %%
# The n-th derivative of tanh at 0 is n! times the n-th coefficient of its power series.

print(" n   by differentiating   by the series")
for n, coefficient in {1: 1, 3: -1 / 3, 5: 2 / 15, 7: -17 / 315}.items():
    by_hand = factorial(n) * coefficient
    print(f" {n}  {derivatives[n][200].item():19.6f}  {by_hand:14.6f}")

# %%
# The curves of the first four.  Where one has a maximum or a minimum, the next is 0.

figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for n, label in enumerate(["tanh", "1st derivative", "2nd", "3rd", "4th"]):
    width = 2.5 if n == 0 else 1.5
    axes.plot(x.numpy(), derivatives[n].numpy(), label=label, linewidth=width)
axes.set(title="tanh and its first four derivatives", xlabel="x", xlim=(-4, 4))
axes.grid(alpha=0.3)
axes.legend()
Path("results").mkdir(exist_ok=True)
figure.savefig("results/higher_derivatives.png", dpi=150)
