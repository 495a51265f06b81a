"""A stateful model holds its parameters; a stateless one takes them as an argument.  Meta-learning needs the second kind.

A step of gradient descent makes new parameters out of old ones.  A stateful model would overwrite the old ones, and with
them the question "what if they had been different?".  A stateless one is called with the new parameters, which still
remember the old ones, so the loss *after* the step can be differentiated by the parameters *before* it.
"""

import numpy as np

import tinygrad_meta as tg

x = np.linspace(0, 2, 20).reshape(-1, 1)
y = np.sin(3 * x)

print("Stateful: the model is called with x alone")
model = tg.nn.MLP([1, 16, 1], "tanh", rng=0)
for name, parameter in model.named_parameters().items():
    print(f"  {name}: {parameter.shape}")
print(f"  loss {tg.nn.mse_loss(model(x), y):.4f}")

print("\nStateless: the parameters are an argument, and the model itself stays as it is")
params = model.named_parameters()


def loss(params):
    return tg.nn.mse_loss(tg.nn.functional_call(model, params, x), y)


zeros = {name: tg.tensor(np.zeros(p.shape)) for name, p in params.items()}
print(f"  with its own parameters  {loss(params):.4f}")
print(f"  with all of them zero    {loss(zeros):.4f}")
print(f"  the model afterwards     {tg.nn.mse_loss(model(x), y):.4f}")

print("\nOne step of gradient descent, kept in the graph")
gradients = tg.grad(loss(params), list(params.values()), create_graph=True)
stepped = {name: p - 0.1 * g for (name, p), g in zip(params.items(), gradients, strict=True)}
loss_after = loss(stepped)
print(f"  loss after the step      {loss_after:.4f}")

print("\nThe loss after the step, differentiated by a bias before it, and by trying out a slightly different bias:")
bias = params["layers.1.bias"]
print(f"  derivative               {tg.grad(loss_after, bias)[0].item():.8f}")


def loss_after_step(params):
    gradient = tg.func.grad(loss)(params)
    return loss({name: p - 0.1 * gradient[name] for name, p in params.items()}).item()


h = 1e-5
higher, lower = ({**params, "layers.1.bias": bias.detach() + shift} for shift in (h, -h))
print(f"  finite difference        {(loss_after_step(higher) - loss_after_step(lower)) / (2 * h):.8f}")
