"""Derivatives of any order.

A gradient is an expression like any other, so it can be differentiated, and so can the result, and so on.  Here: tanh and
its derivatives, held against the power series of tanh, which was known long before there were computers.  Saves a picture.

    tanh(x) = x - x^3/3 + 2 x^5/15 - 17 x^7/315 + ...
"""

import sys
from math import factorial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_meta as tg

folder = Path(sys.argv[1] if sys.argv[1:] else "results")
folder.mkdir(parents=True, exist_ok=True)

x = tg.tensor(np.linspace(-4, 4, 401), requires_grad=True)  # 401 points at once; the one in the middle is 0
derivatives = [tg.tanh(x)]
for _ in range(7):
    # Each entry of the derivative depends on one entry of x alone, so the gradient of the sum holds every entry's derivative.
    derivatives += tg.grad(derivatives[-1].sum(), x, create_graph=True)

print("The n-th derivative of tanh at 0 is n! times the n-th coefficient of its power series:")
print(" n   by differentiating   by the series")
for n, coefficient in {1: 1, 3: -1 / 3, 5: 2 / 15, 7: -17 / 315}.items():
    print(f" {n}  {derivatives[n][200].item():19.6f}  {factorial(n) * coefficient:14.6f}")

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
for n, label in enumerate(["tanh", "1st derivative", "2nd", "3rd", "4th"]):
    axes.plot(x.numpy(), derivatives[n].numpy(), label=label, linewidth=2.5 if n == 0 else 1.5)
axes.set(title="tanh and its first four derivatives", xlabel="x", xlim=(-4, 4))
axes.grid(alpha=0.3)
axes.legend()
figure.savefig(folder / "higher_derivatives.png", dpi=120)
print(f"\nPicture: {folder / 'higher_derivatives.png'}")
