"""Convolutional networks: how long a gradient takes, compiled and eager, as a multiple of what PyTorch takes.

    python tests/benchmarks/convolution.py

PyTorch's side is written as people write it: ``conv2d``, ``layer_norm``, ``relu``, and for MAML a loop over the tasks with
``torch.autograd.grad(..., create_graph=True)``.  The results are compared first, in float64, where rounding does not push an
entry across the kink of a relu.  Then all take turns in float32, in one process and on one thread.
"""

import os
import subprocess
import sys
from functools import partial

import numpy as np

import tinygrad_meta as tg
from tinygrad_meta import nn
from tinygrad_meta.bench import ONE_THREAD, measure
from tinygrad_meta.tree import leaves

SECONDS = 8.0


class PrototypicalNetwork:
    """The gradient of a prototypical network: one prototype for every nine other points."""

    def __init__(self, images, channels, downsampling, dtype):
        self.downsampling, self.classes = downsampling, images // 10
        self.params = nn.init_conv_net([1, *channels], rng=0, dtype=dtype)
        self.data = [np.random.default_rng(0).random((images, 28, 28)).astype(dtype), np.repeat(np.arange(self.classes), 9)]

    def logits(self, z):
        """Minus the squared distances from the prototypes, up to what is the same for all of them."""
        prototypes, points = z[: self.classes], z[self.classes :]
        return 2 * points @ prototypes.T - (prototypes * prototypes).sum(-1)

    def gradient(self, params, x, labels):
        logits = self.logits(nn.conv_net(params, x, self.downsampling))
        return tg.grad(nn.cross_entropy(logits, labels), leaves(params))

    def eager(self):
        return partial(self.gradient, self.params, *self.data)

    def compiled(self):
        return partial(tg.compile(self.gradient), self.params, *self.data)

    def torch(self):
        import torch

        params, (x, labels) = torch_params(self.params), map(torch.tensor, self.data)

        def gradient():
            logits = self.logits(torch_conv_net(params, x, self.downsampling))
            return torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), params)

        return gradient


class MetaGradient(PrototypicalNetwork):
    """The meta-gradient of second-order MAML: 4 tasks, 5 ways, 1 shot, 15 queries per class, one inner step."""

    step_size = 0.1

    def __init__(self, channels, downsampling, dtype):
        rng, self.downsampling = np.random.default_rng(0), downsampling
        body = nn.init_conv_net([1, *channels], rng, dtype=dtype)
        features = nn.conv_net(body, np.zeros((1, 28, 28)), downsampling).shape[-1]
        self.params = {"body": body, "head": nn.init_mlp([features, 5], rng, dtype=dtype)}
        self.data = [array for shots in (1, 15) for array in (rng.random((4, 5 * shots, 28, 28)).astype(dtype),
                                                              np.tile(np.repeat(np.arange(5), shots), (4, 1)))]

    def loss(self, params, x, labels):
        return nn.cross_entropy(nn.mlp(params["head"], nn.conv_net(params["body"], x, self.downsampling)), labels)

    def gradient(self, params, x, labels, query_x, query_labels):
        adapted = tg.meta.adapt(self.loss, params, (x, labels), self.step_size)
        return tg.grad(tg.mean(self.loss(adapted, query_x, query_labels)), leaves(params))

    def torch(self):
        import torch

        head = [torch.tensor(p.numpy()).requires_grad_() for p in leaves(self.params["head"])]
        params, data = torch_params(self.params["body"]) + head, [torch.tensor(part) for part in self.data]

        def loss(params, x, labels):
            *body, weight, bias = params
            logits = torch_conv_net(body, x, self.downsampling) @ weight + bias
            return torch.nn.functional.cross_entropy(logits, labels)

        def gradient():
            losses = []
            for x, labels, query_x, query_labels in zip(*data, strict=True):
                gradients = torch.autograd.grad(loss(params, x, labels), params, create_graph=True)
                adapted = [p - self.step_size * g for p, g in zip(params, gradients, strict=True)]
                losses.append(loss(adapted, query_x, query_labels))
            return torch.autograd.grad(torch.stack(losses).mean(), params)

        return gradient


def torch_params(params):
    """A flat list.  In PyTorch a weight has the shape (outputs, channels, rows, columns), and a bias no axis of points."""
    import torch

    arrays = []
    for weight, bias in params:
        arrays += [weight.numpy().reshape(3, 3, -1, weight.shape[-1]).transpose(3, 2, 0, 1).copy(), bias.numpy()[0]]
    return [torch.tensor(array).requires_grad_() for array in arrays]


def torch_conv_net(params, x, downsampling):
    from torch.nn.functional import conv2d, layer_norm, max_pool2d, relu

    x = x[:, None]
    for weight, bias, how in zip(params[::2], params[1::2], downsampling, strict=True):
        x = conv2d(x, weight, bias, stride=2 if how == "stride" else 1, padding=1)
        x = max_pool2d(x, 2) if how == "pool" else x
        x = relu(layer_norm(x, x.shape[1:]))
    return x.permute(0, 2, 3, 1).flatten(1)


def vector(gradients):
    """All gradients as one vector, whatever they are made of, with the outputs of a weight last."""
    arrays = [np.asarray(g.detach() if hasattr(g, "detach") else g) for g in gradients]
    return np.concatenate([(a.transpose(2, 3, 1, 0) if a.ndim == 4 else a).ravel() for a in arrays])


STRIDES, POOLS, BOTH = ["stride"] * 4, ["pool"] * 4, ["stride", "pool", None, "pool"]
WORKLOADS = {
    "MAML, 4 strides, 32 channels": partial(MetaGradient, [32] * 4, STRIDES),
    "100 images, 4 strides, 32 channels": partial(PrototypicalNetwork, 100, [32] * 4, STRIDES),
    "300 images, 4 strides, 32 channels": partial(PrototypicalNetwork, 300, [32] * 4, STRIDES),
    "100 images, 4 pools, 32 channels": partial(PrototypicalNetwork, 100, [32] * 4, POOLS),
    "300 images, 4 pools, 32 channels": partial(PrototypicalNetwork, 300, [32] * 4, POOLS),
    "120 images, both, 32 and 64": partial(PrototypicalNetwork, 120, [32, 64, 64, 64], BOTH),
}

if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):  # they are read when NumPy is imported
        sys.exit(subprocess.call([sys.executable, *sys.orig_argv[1:]], env=os.environ | ONE_THREAD))
    import torch

    torch.set_num_threads(1)
    print("Milliseconds of PyTorch, and how many times as long the others take: minima.\n")
    print(f"{'':36}{'torch':>10}{'compiled':>10}{'eager':>10}")
    for label, make in WORKLOADS.items():
        compiled, eager, theirs = (vector(getattr(make(np.float64), name)()()) for name in ("compiled", "eager", "torch"))
        for gradient in (compiled, eager):
            difference = np.linalg.norm(gradient - theirs) / np.linalg.norm(theirs)
            assert difference < 1e-9, f"{label}: the results differ by {difference:.1e} of their norm"
        workload = make(np.float32)
        times = measure({name: getattr(workload, name)() for name in ("torch", "compiled", "eager")}, SECONDS)
        torch_time, *others = (min(each) for each in times.values())
        ratios = "".join([f"{other / torch_time:10.2f}" for other in others])
        print(f"{label:36}{1000 * torch_time:10.1f}{ratios}", flush=True)
