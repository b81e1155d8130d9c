"""fnn.jit: which state it finds, when it compiles, what it refuses, and that a failed call changes nothing."""

import copy
import functools
import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from tests.oracle import assert_close, rand

X = jnp.ones((4, 3), jnp.float32)
Y = jnp.zeros((4, 2), jnp.float32)


class Counter(nn.Module):
    """A linear layer that counts its calls in a buffer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.register_buffer("calls", np.zeros((), np.int32))

    def forward(self, x):
        self.calls += 1
        return self.fc(x)


def loss_of(model):
    return jnp.mean((model(X) - Y) ** 2)


global_model = Counter()
GLOBAL = Counter()
out_of_sight = weakref.ref(GLOBAL)  # the search looks into containers, but not behind a weak reference


def test_model_by_global():
    before = int(global_model.calls)

    @fnn.jit
    def run(x):
        return global_model(x)

    assert_close(run(X), global_model.fc(X), 1e-6)
    run(X)
    assert int(global_model.calls) == before + 2
    assert run._cache_size() == 1


def test_model_by_closure_and_in_nested_lambda():
    model = Counter()

    @fnn.jit
    def run(x):
        return (lambda: (lambda: model(x))())()

    run(X)
    assert int(model.calls) == 1


def test_model_by_argument_anywhere_in_a_pytree():
    a, b = Counter(), Counter()

    @fnn.jit
    def run(models, x, *, other):
        return models["a"][0](x) + other(x)

    assert_close(run({"a": [a]}, X, other=b), a.fc(X) + b.fc(X), 1e-6)
    assert (int(a.calls), int(b.calls)) == (1, 1)


def test_model_by_self_attribute_and_decorated_method():
    class Trainer:
        def __init__(self):
            self.model = Counter()
            self.optimizer = optim.SGD(self.model.parameters(), lr=0.1)

        @fnn.jit
        def step(self, x):
            return self.optimizer.step(lambda: jnp.mean(self.model(x) ** 2))

        def plain(self, x):
            return self.model(x)

    first, second = Trainer(), Trainer()
    losses = [float(first.step(X)) for _ in range(3)]
    assert losses[0] > losses[1] > losses[2]
    assert int(first.model.calls) == 3
    assert int(second.model.calls) == 0
    second.step(X)
    assert int(second.model.calls) == 1
    assert Trainer.step._cache_size() == 1
    compiled = fnn.jit(first.plain)
    compiled(X)
    assert int(first.model.calls) == 4


def test_model_behind_helper_function_and_partial():
    model = Counter()

    def helper(x):
        return model(x)

    fnn.jit(lambda x: helper(x))(X)
    fnn.jit(functools.partial(lambda m, x: m(x), model))(X)
    assert int(model.calls) == 2


def test_jit_of_a_module():
    model = Counter()
    compiled = fnn.jit(model)
    assert_close(compiled(X), model.fc(X), 1e-6)
    assert int(model.calls) == 1


def test_rebinding_a_name_is_honoured():
    model = Counter()

    @fnn.jit
    def run(x):
        return model(x)

    first = run(X)
    old, model = model, Counter()
    second = run(X)
    assert_close(second, model.fc(X), 1e-6)
    assert (int(old.calls), int(model.calls)) == (1, 1)
    assert float(abs(first - second).max()) > 0
    assert run._cache_size() == 1


def test_rebinding_a_number_is_honoured():
    factor = 2.0

    @fnn.jit
    def run(x):
        return x * factor

    assert float(run(jnp.ones(()))) == 2.0
    factor = 3.0
    assert float(run(jnp.ones(()))) == 3.0


def test_parameter_not_found_raises_and_is_named():
    @fnn.jit
    def run(x):
        return out_of_sight()(x)

    with pytest.raises(RuntimeError, match=r"'Counter.calls'.*did not find it.*as an argument"):
        run(X)

    @fnn.jit
    def only_weight(x):
        return x @ out_of_sight().fc.weight.T

    with pytest.raises(RuntimeError, match=r"Parameter 'Linear.weight' of shape \(2, 3\).*did not find"):
        only_weight(X)


def test_optimizer_not_found_raises_and_is_named():
    model = Counter()
    optimizer = optim.Adam(model.parameters())
    hidden = weakref.ref(optimizer)

    @fnn.jit
    def run():
        return hidden().step(lambda: loss_of(model))

    with pytest.raises(RuntimeError, match=r"Adam optimizer was used.*as an argument"):
        run()


def test_generator_not_found_raises():
    generator = fnn.Generator().manual_seed(0)
    hidden = weakref.ref(generator)

    @fnn.jit
    def run():
        return hidden().next_key()

    with pytest.raises(RuntimeError, match="generator state"):
        run()


def test_structure_change_recompiles_once():
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    traces = []

    @fnn.jit
    def run(x):
        traces.append(1)
        return model(x)

    for _ in range(3):
        for mode in (True, False):
            model.train(mode)
            run(X)
    assert len(traces) == 2
    model.append(nn.ReLU())
    run(X)
    run(X)
    assert len(traces) == 3
    model[0].weight.requires_grad = False
    run(X)
    run(X)
    assert len(traces) == 4
    model[1].p = 0.1
    model.train()
    run(X)
    assert len(traces) == 5


def test_changing_hyperparameters_compiles_nothing():
    model = Counter()
    optimizer = optim.Adam(model.parameters(), lr=0.1, weight_decay=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    traces = []

    @fnn.jit
    def step():
        traces.append(1)
        return optimizer.step(lambda: loss_of(model))

    for i in range(4):
        step()
        scheduler.step()
        optimizer.param_groups[0]["eps"] = 1e-8 * (i + 1)
        optimizer.param_groups[0]["betas"] = (0.9 - 0.01 * i, 0.99)
    optimizer.param_groups[0]["lr"] = 0.0
    before = model.fc.weight.numpy().copy()
    step()
    assert len(traces) == 1
    assert_close(model.fc.weight, before)


def test_hyperparameters_are_not_stale():
    model = nn.Linear(1, 1, bias=False)
    model.weight.fill_(1.0)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    step = fnn.jit(lambda: optimizer.step(lambda: model.weight.sum()))
    step()
    optimizer.param_groups[0]["lr"] = 0.25
    step()
    assert float(model.weight) == 0.25


def test_other_arguments_are_treated_as_by_jax():
    traces = []

    @fnn.jit(static_argnames="mode")
    def run(x, mode="a"):
        traces.append(mode)
        return x + len(mode)

    assert float(run(jnp.ones(()), mode="abc")) == 4.0
    assert float(run(jnp.ones(()), mode="abc")) == 4.0
    assert float(run(2.0, mode="a")) == 3.0
    run(3.0, mode="a")
    assert traces == ["abc", "a"]
    assert float(fnn.jit(lambda n, x: x * n, static_argnums=0)(3, jnp.ones(()))) == 3.0
    with pytest.raises(TypeError, match="named in static_argnames"):
        fnn.jit(lambda s: 1)("text")
    with pytest.raises(ValueError, match="must be hashable"):
        fnn.jit(lambda s: 1, static_argnames="s")(s=[1])
    with pytest.raises(TypeError, match="must be callable"):
        fnn.jit(3)
    assert run.__name__ == "run"


def test_new_shapes_compile_anew():
    model = Counter()
    run = fnn.jit(lambda x: model(x))
    assert run(jnp.ones((1, 3), jnp.float32)).shape == (1, 2)
    assert run(jnp.ones((5, 3), jnp.float32)).shape == (5, 2)
    assert run._cache_size() == 2


def snapshot(model, optimizer):
    state = optimizer.state_dict()
    return (
        {k: np.asarray(v) for k, v in model.state_dict().items()},
        {i: {k: np.asarray(v) for k, v in s.items()} for i, s in state["state"].items()},
        [dict(g) for g in state["param_groups"]],
        np.asarray(fnn.get_rng_state()),
        [p.grad is None for p in model.parameters()],
        [m.training for m in model.modules()],
    )


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.array_equal(x, y)


@pytest.mark.parametrize("warm", [False, True])
def test_an_exception_in_a_trace_changes_nothing(warm):
    model = nn.Sequential(Counter(), nn.Dropout(0.5), nn.BatchNorm1d(2))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    fail = False

    @fnn.jit
    def step(x):
        loss = fnn.backward(lambda: jnp.mean(model(x) ** 2), model)
        optimizer.step()
        optimizer.param_groups[0]["lr"] = 5.0
        model[0].extra = 3
        model.eval()
        if fail:
            raise ValueError("in the middle")
        model.train()
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 0.1
        del model[0].extra
        return loss

    if warm:
        step(X)
    before = snapshot(model, optimizer)
    fail = True
    with pytest.raises(ValueError, match="in the middle"):
        step(X)
    assert_same(snapshot(model, optimizer), before)
    assert not hasattr(model[0], "extra")
    assert not any(isinstance(b._data, jax.core.Tracer) for b in model._stateful_boxes_())
    fail = False
    assert np.isfinite(float(step(X)))


def test_an_exception_in_an_eager_closure_changes_nothing():
    model = Counter()
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    before = snapshot(model, optimizer)

    def closure():
        model(X)
        raise ValueError("in the middle")

    for call in (lambda: optimizer.step(closure), lambda: fnn.backward(closure, model)):
        with pytest.raises(ValueError, match="in the middle"):
            call()
        assert_same(snapshot(model, optimizer), before)


@pytest.mark.parametrize("transform", [jax.jit, jax.grad, jax.vmap, jax.checkpoint])
def test_buffer_written_under_a_plain_transformation_raises(transform):
    model = Counter()
    arguments = jnp.ones((4, 3), jnp.float32)
    with pytest.raises(RuntimeError, match=r"'Counter.calls'.*functional_call"):
        transform(lambda x: model(x).sum())(arguments)
    assert int(model.calls) == 0
    bn = nn.BatchNorm1d(3)
    data = jnp.ones((2, 4, 3)) if transform is jax.vmap else jnp.ones((4, 3))
    with pytest.raises(RuntimeError, match="BatchNorm1d"):
        transform(lambda x: bn(x).sum())(data.astype(jnp.float32))
    bn.eval()
    transform(lambda x: bn(x).sum())(data.astype(jnp.float32))


def test_write_inside_an_inner_transformation_raises_even_under_fnn_jit():
    model = Counter()
    with pytest.raises(RuntimeError, match=r"'Counter.calls'"):
        fnn.jit(lambda xs: jax.lax.map(model, xs))(jnp.ones((2, 4, 3), jnp.float32))
    assert int(model.calls) == 0


def test_dropout_under_plain_jit_without_a_key_raises():
    drop = nn.Dropout(0.5)
    with pytest.raises(RuntimeError, match=r"dropout: a random draw under a JAX transformation"):
        jax.jit(drop)(X)
    drop.eval()
    assert_close(jax.jit(drop)(X), X)


def test_traced_plain_attribute_raises():
    class Keeps(nn.Module):
        def forward(self, x):
            self.kept = x
            return x

    with pytest.raises(RuntimeError, match=r"Keeps.kept: a traced array cannot be kept"):
        fnn.jit(Keeps())(X)


def test_fnn_jit_inside_a_plain_transformation():
    model = nn.Linear(3, 2)
    compiled = fnn.jit(model)
    assert_close(jax.grad(lambda x: compiled(x).sum())(X), jax.grad(lambda x: model(x).sum())(X), 1e-6)
    counter = Counter()
    with pytest.raises(RuntimeError, match=r"'Counter.calls'"):
        jax.grad(lambda x: fnn.jit(counter)(x).sum())(X)
    assert int(counter.calls) == 0


def test_fnn_jit_inside_fnn_jit_and_backward():
    model = Counter()
    inner = fnn.jit(lambda x: model(x))
    outer = fnn.jit(lambda x: inner(x) + 1)
    assert_close(outer(X), model.fc(X) + 1, 1e-6)
    assert int(model.calls) == 1
    fnn.backward(lambda: inner(X).sum(), model)
    assert_close(model.fc.bias.grad, np.full(2, 4.0, np.float32))
    assert int(model.calls) == 2


def test_kept_arrays_survive_donation():
    model = nn.Linear(3, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    step = fnn.jit(lambda: optimizer.step(lambda: loss_of(model)))
    step()
    old = model.weight.data
    saved = model.state_dict()
    values = np.array(old)
    step()
    step()
    assert_close(old, values)
    assert_close(saved["weight"], values)
    assert float(abs(model.weight.data - old).max()) > 0


def test_two_boxes_of_one_array_survive_donation():
    a = nn.Parameter(np.ones(3, np.float32))
    b = nn.Parameter(a.data)
    optimizer = optim.SGD([a, b], lr=0.5)
    fnn.jit(lambda: optimizer.step(lambda: (a * 2 + b).sum()))()
    assert_close(a, np.zeros(3, np.float32))
    assert_close(b, np.full(3, 0.5, np.float32))


def test_four_step_form_with_gradients_kept_between_calls():
    model = Counter()
    accumulate = fnn.jit(lambda: fnn.backward(lambda: loss_of(model), model))
    for _ in range(3):
        accumulate()
    total = model.fc.bias.grad
    model.zero_grad()
    fnn.backward(lambda: loss_of(model), model)
    assert_close(total, 3 * model.fc.bias.grad, 1e-5)
    assert accumulate._cache_size() == 1


def test_scheduler_steps_inside_jit():
    def make():
        model = nn.Linear(1, 1)
        model.load_state_dict({"weight": np.ones((1, 1)), "bias": np.ones(1)})
        optimizer = optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        return model, optimizer, optim.lr_scheduler.StepLR(optimizer, 2, 0.1)

    model, optimizer, scheduler = make()

    @fnn.jit
    def step():
        optimizer.step(lambda: (model(jnp.ones((1, 1), jnp.float32)) ** 2).sum())
        scheduler.step()

    other, other_optimizer, other_scheduler = make()
    for _ in range(6):
        step()
        other_optimizer.step(lambda: (other(jnp.ones((1, 1), jnp.float32)) ** 2).sum())
        other_scheduler.step()
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(other_optimizer.param_groups[0]["lr"], rel=1e-12)
    assert int(scheduler.last_epoch) == 6
    assert_close(model.weight, other.weight, 1e-6)


def test_eager_and_compiled_dropout_draw_the_same():
    drop = nn.Dropout(0.5)
    x = jnp.ones((8, 8), jnp.float32)
    fnn.manual_seed(3)
    eager = [np.asarray(drop(x)) for _ in range(3)]
    fnn.manual_seed(3)
    compiled = fnn.jit(drop)
    assert all(np.array_equal(e, np.asarray(compiled(x))) for e in eager)
    assert not np.array_equal(eager[0], eager[1])


def test_gan_step():
    """Two models, two optimizers, two losses in one compiled step."""
    g, d = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
    opt_g, opt_d = optim.Adam(g.parameters(), lr=1e-2), optim.Adam(d.parameters(), lr=1e-2)

    @fnn.jit
    def step(real, z):
        fake = jax.lax.stop_gradient(g(z))
        loss_d = opt_d.step(lambda: jnp.mean(d(fake)) - jnp.mean(d(real)))
        loss_g, images = opt_g.step(lambda: ((-jnp.mean(d(g(z)))), g(z)), has_aux=True)
        return loss_d, loss_g, images

    before = [np.array(p.data) for p in (*g.parameters(), *d.parameters())]
    loss_d, loss_g, images = step(*(jnp.asarray(rand(i, 4, 2), jnp.float32) for i in (0, 1)))
    assert np.isfinite([float(loss_d), float(loss_g)]).all()
    assert images.shape == (4, 2)
    after = [np.array(p.data) for p in (*g.parameters(), *d.parameters())]
    assert sum(not np.array_equal(a, b) for a, b in zip(before, after, strict=True)) >= len(before) - 2
    assert int(d[1].num_batches_tracked) == 3


def test_key_scope_outside_a_jit_is_an_input():
    drop = nn.Dropout(0.5)
    traces = []

    @fnn.jit
    def run(x):
        traces.append(1)
        return drop(x)

    outs = []
    for seed in (0, 1, 0):
        with fnn.random.key_scope(jax.random.key(seed)):
            outs.append(np.asarray(run(X)))
    assert len(traces) == 1
    assert np.array_equal(outs[0], outs[2])
    assert not np.array_equal(outs[0], outs[1])


def test_kernels_plain_is_part_of_what_a_program_is_kept_by():
    traced = []

    @fnn.jit
    def run(x):
        traced.append(fnn.kernels.plain_selected())
        return x

    run(jnp.ones(2))
    with fnn.kernels.plain():
        run(jnp.ones(2))
    run(jnp.ones(2))
    assert traced == [False, True]


def test_a_copy_moved_to_where_it_is_can_be_donated_with_the_original():
    model = fnn.nn.Linear(2, 2)
    twin = copy.deepcopy(model).to("cpu")

    @fnn.jit
    def step(x):
        for each in (model, twin):
            each.weight.data = each.weight.data + x
        return x

    before = np.asarray(model.weight)
    step(jnp.float32(1.0))
    np.testing.assert_allclose(model.weight, before + 1)
    np.testing.assert_allclose(twin.weight, before + 1)


def test_a_parametrization_registered_in_a_step_that_raises_is_undone():
    model = fnn.nn.Linear(2, 2)

    @fnn.jit
    def step(x):
        fnn.nn.utils.parametrize.register_parametrization(model, "weight", fnn.nn.Identity())
        raise KeyError("stop")

    with pytest.raises(KeyError):
        step(jnp.ones(1))
    assert type(model) is fnn.nn.Linear
    assert sorted(model.state_dict()) == ["bias", "weight"]


# The state between calls


def trained():
    model = nn.Linear(3, 3).double()
    model.weight.data, model.bias.data = rand(0, 3, 3), rand(1, 3)
    optimizer = optim.Adam(model.parameters(), lr=0.1)

    @fnn.jit
    def step(x):
        return optimizer.step(lambda: (model(x) ** 2).mean())

    return model, optimizer, step


def test_state_may_be_read_written_and_kept_between_steps():
    model, _, step = trained()
    twin, _, twin_step = trained()
    kept = []
    for i in range(12):
        x = rand(i, 2 + i % 2, 3)  # two programs over the same state
        step(x)
        twin_step(x)
        if i % 3 == 1:
            kept.append((model.weight.data, np.array(model.weight.data)))
        if i % 4 == 2:
            for m in (model, twin):
                m.bias.data = m.bias.data + 1
    assert_close(model.weight.data, twin.weight.data, 0, 0)
    assert_close(model.bias.data, twin.bias.data, 0, 0)
    for array, value in kept:
        assert_close(array, value, 0, 0)


def test_two_functions_take_turns_on_the_same_state():
    model, optimizer, step = trained()
    twin, _, twin_step = trained()

    @fnn.jit
    def other(x):
        return optimizer.step(lambda: (model(x) ** 2).mean())

    for i in range(14):
        x = rand(i, 2, 3)
        (other if i % 2 else step)(x)
        twin_step(x)
        assert_close(model(x), twin(x), 0, 0)


def test_an_argument_that_becomes_state_stays_the_callers():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("last", jnp.zeros(4))
            self.register_buffer("before", jnp.zeros(4))

        def forward(self, x):
            self.before = self.last.data
            self.last = x
            return x, self.before

    model = Last()
    run = fnn.jit(lambda x: model(x))
    xs = [jnp.arange(4.0), jnp.ones(4)]
    outputs = [run(xs[i % 2]) for i in range(8)]
    assert [x.tolist() for x in xs] == [[0.0, 1.0, 2.0, 3.0], [1.0] * 4]
    assert model.last.data.tolist() == xs[1].tolist()
    assert model.before.data.tolist() == xs[0].tolist()
    for i, (x, before) in enumerate(outputs):
        assert x.tolist() == xs[i % 2].tolist()
        assert before.tolist() == (xs[1 - i % 2] if i else jnp.zeros(4)).tolist()


def test_nothing_outlives_its_optimizer():
    """The parameters must not keep the optimizer's arrays alive once it and the compiled step are gone."""
    model, optimizer, step = trained()
    for i in range(3):
        step(rand(i, 2, 3))
    weight = np.array(model.weight.data)
    moments = [weakref.ref(box.data) for box in optimizer._stateful_boxes_() if box._label.startswith("Adam state")]
    assert moments
    assert all(ref() is not None for ref in moments)
    del optimizer, step
    gc.collect()
    assert all(ref() is None for ref in moments)
    assert_close(model.weight.data, weight, 0, 0)


def test_a_global_that_bears_the_name_of_an_attribute_is_no_constant():
    """``for step in range(n): train_step(x)`` compiles once, though the function says ``optimizer.step``."""
    names = {"fnn": fnn, "step": 0}
    names["optimizer"] = optim.SGD([nn.Parameter(np.ones(2))], lr=0.1)
    code = "@fnn.jit\ndef train_step(x):\n    return optimizer.step(lambda: (optimizer.param_groups[0]['params'][0] * x).sum())"
    exec(code, names)
    for step in range(3):
        names["step"] = step
        names["train_step"](jnp.ones(2))
    assert names["train_step"]._cache_size() == 1


def test_a_global_that_is_read_is_a_constant():
    names = {"fnn": fnn, "scale": 2.0}
    exec("@fnn.jit\ndef run(x):\n    return (lambda: scale * x)()", names)
    assert float(names["run"](jnp.ones(()))) == 2.0
    names["scale"] = 3.0
    assert float(names["run"](jnp.ones(()))) == 3.0
