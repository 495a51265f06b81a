"""
What a task is
==============

And why one network cannot solve them all.  Every task is a sine wave::

    y = amplitude * sin(phase + x)

with an amplitude and a phase that the learner is not told.  It sees a *support* set, a few
points (x, y), and is then asked for y at the x of the *query* set.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_meta as tg

# %%
# Four tasks of 10 support and 10 query points, as arrays of shape (task, point, 1).

family = tg.tasks.SineTasks(amplitude_min=0.1, amplitude_max=5.0, phase_min=0.0,
                            phase_max=np.pi, x_min=-5.0, x_max=5.0)
batch = family.sample(n_tasks=4, n_support=10, n_query=10, rng=3)
for name, (x, y) in {"support": batch.support, "query": batch.query}.items():
    print(f"{name:8} x {x.shape}  y {y.shape}")

print("\nWhat the learner is not told:")
for amplitude, phase in zip(batch.amplitude.flat, batch.phase.flat, strict=True):
    print(f"  y = {amplitude:.2f} * sin({phase:.2f} + x)")

# %%
# How well can one do without a look at the support set?  The average of all waves is the
# best single function: better than predicting 0 everywhere, and far from any single wave.

grid = np.linspace(-5, 5, 201)
many = family.sample(n_tasks=20_000, n_support=0, n_query=0, rng=0)
waves = many.amplitude[:, 0] * np.sin(many.phase[:, 0] + grid)
average_wave = waves.mean(axis=0)
print("Mean squared error over 20,000 tasks:")
print(f"  predicting 0 everywhere       {np.mean(waves**2):.1f}")
print(f"  predicting the average wave   {np.mean((waves - average_wave) ** 2):.1f}")

# %%
# The four tasks.

figure, all_axes = plt.subplots(2, 2, figsize=(6.4, 5.6), layout="constrained",
                                sharex=True, sharey=True)
tasks = zip(all_axes.flat, *batch.support, batch.query[0], batch.amplitude, batch.phase,
            strict=True)
for axes, x, y, query_x, amplitude, phase in tasks:
    wave = (amplitude * np.sin(phase + grid)).T
    axes.plot(grid, wave, color="0.6", label="the wave, unknown to the learner")
    axes.plot(grid, average_wave, ":", color="0.6", label="average of all waves")
    axes.plot(x, y, "o", color="tab:blue", label="support: x and y are given")
    axes.plot(query_x, np.full_like(query_x, -5.2), "|", color="tab:red", markersize=14,
              label="query: only x is given")
    axes.set_title(f"amplitude {amplitude.item():.2f}, phase {phase.item():.2f}")
figure.supxlabel("x")
figure.supylabel("y")
figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
Path("results").mkdir(exist_ok=True)
figure.savefig("results/sine_tasks.png", dpi=150)
