"""Stateless and stateful models, losses and initialisers."""

from collections import namedtuple

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta import nn


def test_module_and_stateless_model_agree():
    model = nn.MLP([2, 5, 3], "tanh", rng=0)
    params = [(layer.weight, layer.bias) for layer in model.layers]
    x = np.random.default_rng(1).normal(size=(4, 2))
    np.testing.assert_array_equal(model(x).data, nn.mlp(params, x, "tanh").data)
    np.testing.assert_array_equal(nn.functional_call(model, model.named_parameters(), x).data, model(x).data)


def test_a_module_may_hold_a_named_tuple():
    class Affine(nn.Module):
        def __init__(self):
            self.pair = namedtuple("Pair", "scale shift")(tg.tensor(2.0, requires_grad=True), tg.tensor(1.0, requires_grad=True))

        def forward(self, x):
            return self.pair.scale * x + self.pair.shift

    model = Affine()
    assert nn.functional_call(model, {"pair.0": 3.0}, 2.0).item() == 7
    model.load_state_dict({name: value + 1 for name, value in model.state_dict().items()})
    assert model(2.0).item() == 8


class Scale(nn.Module):
    def __init__(self):
        self.factor = tg.tensor(2.0, requires_grad=True)
        self.apply = self.scaled

    def scaled(self, x):
        return self.factor * x

    def forward(self, x):
        return self.apply(x)


def test_a_module_may_hold_a_method_of_its_own():
    scale = Scale()
    assert nn.functional_call(scale, {"factor": tg.tensor(5.0)}, 3.0).item() == 15
    assert scale(3.0).item() == 6


def test_a_module_may_refer_back_to_what_holds_it():
    class Pair(nn.Module):
        def __init__(self):
            self.factor, self.child = tg.tensor(2.0, requires_grad=True), Child()
            self.child.parent = self

        def forward(self, x):
            return self.child(x)

    class Child(nn.Module):
        def forward(self, x):
            return self.parent.factor * x

    pair = Pair()
    assert list(pair.named_parameters()) == ["factor"]
    assert nn.functional_call(pair, {"factor": tg.tensor(5.0)}, 3.0).item() == 15
    pair.load_state_dict({"factor": np.array(7.0)})
    assert pair(3.0).item() == 21


def test_loading_a_state_keeps_the_modules_in_a_tuple():
    class Holder(nn.Module):
        def __init__(self):
            self.parts = (Scale(), Scale())

    holder = Holder()
    first = holder.parts[0]
    holder.load_state_dict({"parts.0.factor": np.array(3.0), "parts.1.factor": np.array(4.0)})
    assert holder.parts[0] is first and first(1.0).item() == 3


def test_functional_call_is_differentiable_by_its_parameters_and_leaves_the_module_alone():
    model = nn.MLP([1, 4, 1], rng=0)
    before = model.state_dict()
    params = {name: tg.tensor(p.data + 1, requires_grad=True) for name, p in model.named_parameters().items()}
    loss = nn.mse_loss(nn.functional_call(model, params, [[0.5]]), [[1.0]])
    assert all(g.shape == p.shape for g, p in zip(tg.grad(loss, list(params.values())), params.values(), strict=True))
    assert all(np.array_equal(before[name], value) for name, value in model.state_dict().items())
    only_one = nn.functional_call(model, {"layers.1.bias": tg.tensor([[100.0]])}, [[0.5]])
    assert only_one.item() == pytest.approx(model([[0.5]]).item() + 100)
    with pytest.raises(ValueError, match="layers.9.bias"):
        nn.functional_call(model, {"layers.9.bias": 1}, [[0.5]])


def test_state_dict_round_trip(tmp_path):
    model, other = nn.MLP([2, 3, 1], rng=0), nn.MLP([2, 3, 1], rng=1)
    np.savez(tmp_path / "state.npz", **model.state_dict())
    other.load_state_dict(dict(np.load(tmp_path / "state.npz")))
    assert other([[1.0, 2.0]]).item() == model([[1.0, 2.0]]).item()
    assert all(p.requires_grad for p in other.parameters()) and len(other.parameters()) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layers.0.bias"), r"missing \['layers.0.bias'\]"),
        (lambda s: s.update(extra=np.ones(1)), r"unknown \['extra'\]"),
        (lambda s: s.update({"layers.0.bias": np.ones(3)}), r"layers.0.bias has shape \(3,\) there and \(1, 3\) here"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_nothing_is_loaded(change, message):
    model = nn.MLP([2, 3, 1], rng=0)
    state = nn.MLP([2, 3, 1], rng=1).state_dict()
    before = model([[1.0, 2.0]]).item()
    change(state)
    with pytest.raises(ValueError, match=message):
        model.load_state_dict(state)
    assert model([[1.0, 2.0]]).item() == before


def test_modules_nest():
    class Residual(nn.Module):
        def __init__(self):
            self.inner, self.scale = nn.Linear(2, 2, rng=0), tg.tensor(0.5, requires_grad=True)

        def forward(self, x):
            return x + self.scale * self.inner(x)

    class Stack(nn.Module):
        def __init__(self):
            self.blocks = [Residual(), Residual()]

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return x

    model = Stack()
    names = ["blocks.0.inner.weight", "blocks.0.inner.bias", "blocks.0.scale"]
    assert list(model.named_parameters())[:3] == names and len(model.parameters()) == 6
    off = {"blocks.1.scale": tg.tensor(0.0), "blocks.0.scale": tg.tensor(0.0)}
    assert nn.functional_call(model, off, [[1.0, 2.0]]).data.tolist() == [[1, 2]]


def test_tensors_are_found_in_lists_tuples_and_dicts_and_tied_ones_once():
    class Holder(nn.Module):
        def __init__(self):
            first = nn.Linear(1, 1, rng=0)
            self.layers, self.tied = (first, nn.Linear(1, 1, rng=1)), first
            self.scales = {"a": [tg.tensor(2.0, requires_grad=True)]}

        def forward(self, x):
            return self.tied(self.layers[1](self.layers[0](x))) * self.scales["a"][0]

    model = Holder()
    names = ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias", "scales.a.0"]
    assert list(model.named_parameters()) == names
    assert nn.functional_call(model, {"layers.0.weight": tg.tensor([[0.0]])}, [[1.0]]).item() == 0, "both uses are replaced"
    before = model([[1.0]]).item()
    model.load_state_dict(model.state_dict() | {"scales.a.0": np.array(4.0)})
    assert model([[1.0]]).item() == pytest.approx(2 * before)


def test_two_tensors_of_one_name_are_refused():
    class Holder(nn.Module):
        def __init__(self, entries):
            self.entries = entries

    one, other = (tg.tensor(x, requires_grad=True) for x in (1.0, 2.0))
    for entries in ({0: one, "0": other}, {"a.b": one, "a": {"b": other}}):
        for ask in (nn.Module.named_parameters, nn.Module.state_dict):
            with pytest.raises(ValueError, match=r"two tensors of the module are called 'entries\.(0|a\.b)'"):
                ask(Holder(entries))
    assert list(Holder({0: one, "0": one}).named_parameters()) == ["entries.0"]


def test_a_network_per_task_has_rows_as_biases():
    """With as many tasks as points, a bias of shape (tasks, outputs) would be added to the wrong axes."""
    params = [(np.ones((10, 1, 8)), np.ones((10, 8)))]
    with pytest.raises(ValueError, match=r"a bias must be a row"):
        nn.mlp(params, np.ones((10, 10, 1)))
    flat = [(tg.tensor(np.ones((1, 8))), tg.tensor(np.arange(8.0)))]
    assert nn.mlp(flat, np.ones((10, 1))).shape == (10, 8)
    with pytest.raises(ValueError, match=r"shape \(10, 8\)"):
        batch = tg.tasks.SineTasks().sample(10, 10, 10, rng=0)
        tg.meta.maml_loss(lambda params, x, y: nn.mse_loss(nn.mlp(params, x).sum(-1, keepdims=True), y), flat, batch, 0.1)


def test_one_network_per_task():
    """The same code runs a batch of networks on a batch of data."""
    networks = [nn.init_mlp([1, 4, 1], rng=seed) for seed in range(3)]
    stacked = [(tg.stack([n[i][0] for n in networks]), tg.stack([n[i][1] for n in networks])) for i in range(2)]
    x = np.random.default_rng(0).normal(size=(3, 5, 1))
    together = nn.mlp(stacked, x)
    for i, network in enumerate(networks):
        np.testing.assert_allclose(together.data[i], nn.mlp(network, x[i]).data)


def test_initialisers_have_their_distributions():
    rng = np.random.default_rng(0)
    glorot = nn.glorot_uniform(rng, (300, 500))
    assert np.abs(glorot).max() <= np.sqrt(6 / 800) and glorot.std() == pytest.approx(np.sqrt(2 / 800), rel=0.01)
    assert nn.he_normal(rng, (300, 500)).std() == pytest.approx(np.sqrt(2 / 300), rel=0.01)
    truncated = nn.truncated_normal(rng, (300, 500))
    assert np.abs(truncated).max() <= 0.02 and truncated.std() == pytest.approx(0.88 * 0.01, rel=0.01)
    assert nn.init_mlp([1, 2], dtype=np.float32)[0][0].dtype == np.float32
    assert nn.init_mlp([3, 2], rng=5)[0][0].data.tolist() == nn.init_mlp([3, 2], rng=5)[0][0].data.tolist()


def test_mse_loss():
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 5, 2))
    per_task = nn.mse_loss(prediction, target)
    np.testing.assert_allclose(per_task.data, ((prediction - target) ** 2).mean((-2, -1)))
    assert nn.mse_loss(prediction[0], target[0]).item() == pytest.approx(per_task.data[0])
    assert nn.mse_loss([1.0, 3.0], [0.0, 0.0]).item() == 5
    with pytest.raises(ValueError, match=r"\(5, 1\).*\(5,\)"):
        nn.mse_loss(np.ones((5, 1)), np.ones(5))


def test_accuracy():
    """One number per task; what is nan anywhere is no answer, also where argmax would point at the right class."""
    logits = [[[2.0, 1.0, 0.0], [0.0, 3.0, -1.0]], [[np.nan, 0.0, 9.0], [np.nan, 0.0, 9.0]], [[np.inf, 0.0, 1.0], [0.0, 1.0, 2.0]]]
    labels = np.array([[0, 1], [0, 2], [0, 0]])
    assert nn.accuracy(logits, labels).tolist() == [1.0, 0.0, 0.5]
    assert nn.accuracy(tg.tensor(logits[0], "float32"), labels[0]) == 1
    assert [nn.accuracy([2.0, 1.0], label) for label in (0, 1)] == [1, 0]  # a single point


def test_cross_entropy():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4, 5, 3)), rng.integers(0, 3, (4, 5))
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = -np.log(np.take_along_axis(probabilities, labels[..., None], -1)).mean((-2, -1))
    np.testing.assert_allclose(nn.cross_entropy(logits, labels).data, expected)
    assert nn.cross_entropy(logits[0, 0], labels[0, 0]).shape == ()
    assert nn.cross_entropy([[1e4, 0.0]], [1]).item() == pytest.approx(1e4)
    assert tg.gradcheck(lambda z: nn.cross_entropy(z, labels).sum(), [logits])


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0.0, 1.0], "integer"), ([0, 1, 2], r"shape \(2,\)"), ([0, 3], "0 to 3 for 3 classes"), ([-1, 0], "between 0 and 2")],
)
def test_cross_entropy_refuses_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        nn.cross_entropy(np.zeros((2, 3)), labels)


@pytest.mark.parametrize("labels", [2, [0, 2], [[0, 1, 2], [2, 2, 0]], np.zeros((2, 0), int), np.array([1, 0], np.uint8)])
@pytest.mark.parametrize("dtype", [np.float64, "float32"])
def test_one_hot(labels, dtype):
    expected = np.eye(3, dtype=dtype)[np.asarray(labels)]
    for out in (nn.one_hot(labels, 3, dtype), nn.one_hot(tg.tensor(labels), 3, dtype=dtype),
                tg.compile(lambda labels: nn.one_hot(labels, 3, dtype))(np.asarray(labels))):  # fmt: skip
        np.testing.assert_array_equal(out.data, expected)
        assert out.dtype == dtype and not out.requires_grad


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0.0, 1.0], "integers from 0 to 2.*float64"), ([0, 3], "0 to 3 for 3 classes"), ([-1, 0], "-1 to 0"), ([True], "bool")],
)
def test_one_hot_refuses_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        nn.one_hot(labels, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.MLP([1, 2], "rellu"), "'rellu'.*relu"),
        (lambda: nn.init_mlp([1, 2], initializer="xavier"), "'xavier'.*glorot"),
        (lambda: nn.init_mlp([1]), "input and an output"),
        (lambda: nn.MLP([1]), "input and an output"),
        (lambda: nn.MLP([1, 0, 1]), "1 or more"),
    ],
)
def test_models_refuse_bad_options(call, message):
    with pytest.raises(ValueError, match=message):
        call()
