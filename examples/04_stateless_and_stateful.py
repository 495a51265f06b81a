"""
Stateful and stateless models
=============================

A stateful model holds its parameters; a stateless one takes them as an argument.
Meta-learning needs the second kind.

A step of gradient descent makes new parameters out of old ones.  A stateful model would
overwrite the old ones, and with them the question "what if they had been different?".  A
stateless one is called with the new parameters, which still remember the old ones, so the
loss *after* the step can be differentiated by the parameters *before* it.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_meta as tg

# %%
# Stateful: the model is called with x alone.

x = np.linspace(0, 2, 20).reshape(-1, 1)
y = np.sin(3 * x)
model = tg.nn.MLP([1, 16, 1], "tanh", rng=0)
for name, parameter in model.named_parameters().items():
    print(f"{name}: {parameter.shape}")
print(f"loss {tg.nn.mse_loss(model(x), y):.4f}")

# %%
# Stateless: the parameters are an argument, and the model itself stays as it is.

params = model.named_parameters()


def loss(params):
    return tg.nn.mse_loss(tg.nn.functional_call(model, params, x), y)


zeros = {name: tg.tensor(np.zeros(p.shape)) for name, p in params.items()}
print(f"with its own parameters  {loss(params):.4f}")
print(f"with all of them zero    {loss(zeros):.4f}")
print(f"the model afterwards     {tg.nn.mse_loss(model(x), y):.4f}")

# %%
# One step of gradient descent, kept in the graph: the stepped parameters remember the old
# ones, and the loss after the step can be differentiated by a bias before it.


def stepped(params):
    gradients = tg.grad(loss(params), list(params.values()), create_graph=True)
    return {name: p - 0.1 * g for (name, p), g in zip(params.items(), gradients, strict=True)}


bias = params["layers.1.bias"]
loss_after = loss(stepped(params))
slope = tg.grad(loss_after, bias)[0].item()

# %%
# Is that right?  Try out slightly different biases.


def loss_after_moving(shift):
    moved = tg.tensor(bias.numpy() + shift, requires_grad=True)
    return loss(stepped({**params, "layers.1.bias": moved})).item()


print(f"derivative         {slope:.8f}")
print(f"finite difference  {(loss_after_moving(1e-5) - loss_after_moving(-1e-5)) / 2e-5:.8f}")

figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
shifts = np.linspace(-1, 1, 41)
axes.plot(shifts, [loss_after_moving(s) for s in shifts], label="loss after the step")
axes.plot(shifts, loss_after.item() + slope * shifts, "--", label="its derivative at 0")
axes.set(xlabel="change of the bias before the step", ylabel="loss", ylim=(0, None))
axes.legend()
Path("results").mkdir(exist_ok=True)
figure.savefig("results/loss_after_a_step.png", dpi=150)
