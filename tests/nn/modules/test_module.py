"""Module, Parameter, Buffer: registration, iteration, state_dict, casts, copies."""

import copy
import pickle
from collections import OrderedDict

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from tests.oracle import assert_close, needs_torch


def ones(*shape):
    return jnp.ones(shape, jnp.float32)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(3, 4)
        self.fc2 = nn.Linear(4, 2)
        self.scale = nn.Parameter(np.ones(2, np.float32))
        self.register_buffer("count", np.zeros((), np.int32))
        self.register_buffer("cache", np.zeros(2, np.float32), persistent=False)

    def forward(self, x):
        self.count += 1
        return self.fc2(jax.nn.relu(self.fc1(x))) * self.scale


def test_registration_order_and_names():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == ["scale", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert [n for n, _ in net.named_buffers()] == ["count", "cache"]
    assert [n for n, _ in net.named_modules()] == ["", "fc1", "fc2"]
    assert list(net.state_dict()) == ["scale", "count", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]


def test_shared_parameters_are_counted_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert len(list(net.parameters())) == 3
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert "1.weight" in net.state_dict()
    params, _ = fnn.state(net)
    assert sorted(params) == ["0.bias", "0.weight", "1.bias"]
    out, _ = fnn.functional_call(net, {"0.weight": jnp.zeros((2, 2), jnp.float32)}, {}, ones(1, 2))
    assert_close(out[0], net[1].bias.numpy())


def test_assignment_rules():
    net = Net()
    with pytest.raises(TypeError, match="cannot assign 'float' as parameter 'scale'"):
        net.scale = 3.0
    with pytest.raises(TypeError, match="cannot assign 'int' as child module 'fc1'"):
        net.fc1 = 3
    net.count = np.array(5, np.int32)
    assert int(net.count) == 5
    assert isinstance(net.count, nn.Buffer)
    net.scale = None
    assert net.scale is None
    assert "scale" not in dict(net.named_parameters())
    del net.fc1
    assert not hasattr(net, "fc1")
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'fc1'"):
        _ = net.fc1


def test_assignment_before_init_raises():
    class Bad(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\)"):
        Bad()


@pytest.mark.parametrize(
    ("method", "args", "error", "match"),
    [
        ("register_parameter", ("a.b", None), KeyError, "must not be empty nor contain"),
        ("register_parameter", ("", None), KeyError, "must not be empty nor contain"),
        ("register_parameter", ("forward", None), KeyError, "already exists"),
        ("register_parameter", ("w", 3), TypeError, "a Parameter or None"),
        ("register_buffer", ("w", "text"), TypeError, "tensor must be an array or None, got 'text'"),
        ("register_buffer", (3, None), TypeError, "must be a string"),
        ("add_module", ("w", 3), TypeError, "module must be a Module or None, got 3"),
        ("get_submodule", ("fc1.nothing",), AttributeError, "has no attribute `nothing`"),
        ("get_parameter", ("fc1.in_features",), AttributeError, "is not a parameter"),
        ("get_buffer", ("fc1.weight",), AttributeError, "is not a buffer"),
        ("train", (3,), ValueError, "mode must be a bool"),
        ("to", ("nowhere:0",), RuntimeError, "a name must be that of a dtype"),
        ("to", (jnp.int32,), TypeError, "must be floating"),
        ("set_submodule", ("", nn.Identity()), ValueError, "target"),
    ],
)
def test_bad_arguments_raise(method, args, error, match):
    with pytest.raises(error, match=match):
        getattr(Net(), method)(*args)


def test_buffer_assigned_as_attribute_is_registered():
    net = nn.Module()
    net.b = nn.Buffer(np.ones(2, np.float32), persistent=False)
    assert [n for n, _ in net.named_buffers()] == ["b"]
    assert not net.state_dict()


def test_modes_and_freezing():
    net = Net()
    assert net.train(False) is net
    assert not net.fc1.training
    net.train()
    assert net.fc1.training
    net.fc1.requires_grad_(False)
    params, buffers = fnn.state(net)
    assert sorted(params) == ["fc2.bias", "fc2.weight", "scale"]
    assert sorted(buffers) == ["cache", "count", "fc1.bias", "fc1.weight"]


def test_apply_visits_children_first():
    seen = []
    net = Net()
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "Linear", "Net"]


def test_set_and_get_submodule():
    net = nn.Sequential(nn.Sequential(nn.Linear(1, 1)))
    assert net.get_submodule("0.0") is net[0][0]
    assert net.get_submodule("") is net
    net.set_submodule("0.0", nn.Identity())
    assert isinstance(net[0][0], nn.Identity)
    with pytest.raises(AttributeError, match="has no attribute `5`"):
        net.set_submodule("0.5", nn.Identity(), strict=True)


def test_casts():
    net = Net().half()
    assert net.fc1.weight.dtype == jnp.float16
    assert net.count.dtype == jnp.int32
    assert net.bfloat16().fc1.weight.dtype == jnp.bfloat16
    assert net.double().fc1.weight.dtype == jnp.float64
    assert net.float().cache.dtype == jnp.float32
    assert net.type(jnp.float32).count.dtype == jnp.float32
    assert net.to(jnp.zeros(1, jnp.float16)).fc1.weight.dtype == jnp.float16
    assert net.to(jax.devices("cpu")[0]).cpu().to("cpu", jnp.float32).fc1.weight.dtype == jnp.float32
    assert net.share_memory() is net
    assert_close(net.to_empty(device="cpu").fc1.weight, np.zeros((4, 3), np.float32))


def test_cuda_without_gpu_raises():
    if jax.default_backend() == "gpu":
        pytest.skip("there is a GPU here")
    for call in (lambda: Net().cuda(), lambda: Net().to("cuda:0"), lambda: nn.Linear(2, 2, device="gpu")):
        with pytest.raises(
            RuntimeError, match=r"device '(cuda|cuda:0|gpu)' asked for, but JAX finds none .* only cpu; .*"
        ):
            call()


def test_names_that_are_neither_of_a_device_nor_of_a_dtype():
    for name in ("mps", "meta", "xpu:0", "float3"):
        net = Net()
        before = net.state_dict()
        with pytest.raises(
            RuntimeError, match=rf"a dtype, such as 'float32', or of a device, one of cpu, .* got '{name}'"
        ):
            net.to(name)
        assert all(net.state_dict()[key] is value for key, value in before.items())
    for thing in (object(), [1], 3.5):
        with pytest.raises(
            TypeError, match=r"to: expected a dtype \(jnp.float16\), a device or its name, a sharding or an array"
        ):
            Net().to(thing)
    with pytest.raises(RuntimeError, match=r"there (is 1 device|are [0-9]+ devices) of this kind, counted from 0"):
        Net().to("cpu:99")


def test_state_dict_round_trip():
    a, b = Net(), Net()
    assert str(b.load_state_dict(a.state_dict())) == "<All keys matched successfully>"
    for name, value in a.state_dict().items():
        assert_close(b.state_dict()[name], value)
    assert next(iter(a.state_dict(prefix="net."))) == "net.scale"
    assert a.state_dict(keep_vars=True)["scale"] is a.scale
    destination = OrderedDict()
    assert a.state_dict(destination=destination) is destination


def test_load_state_dict_lists_every_mismatch_and_changes_nothing():
    net = Net()
    before = {k: np.asarray(v) for k, v in net.state_dict().items()}
    bad = dict(net.state_dict())
    del bad["scale"]
    bad["extra"] = np.zeros(1)
    bad["fc1.weight"] = np.zeros((9, 9))
    bad["fc2.bias"] = np.full(2, 7.0)
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(bad)
    text = str(error.value)
    assert 'Missing key(s) in state_dict: "scale"' in text
    assert 'Unexpected key(s) in state_dict: "extra"' in text
    assert "size mismatch for fc1.weight" in text
    for name, value in net.state_dict().items():
        assert_close(value, before[name])


def test_load_state_dict_not_strict():
    net = Net()
    result = net.load_state_dict({"scale": np.full(2, 3.0), "extra": np.zeros(1)}, strict=False)
    assert net.scale.numpy().tolist() == [3.0, 3.0]
    assert "fc1.weight" in result.missing_keys
    assert result.unexpected_keys == ["extra"]
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict({"scale": np.zeros(3)}, strict=False)
    with pytest.raises(TypeError, match="state_dict must be a dict"):
        net.load_state_dict([1])


def test_load_state_dict_assign_keeps_dtype():
    net = nn.Linear(1, 1)
    net.load_state_dict({"weight": np.ones((1, 1), np.float16), "bias": np.ones(1, np.float16)}, assign=True)
    assert net.weight.dtype == jnp.float16
    net.load_state_dict({"weight": np.ones((1, 1), np.float32), "bias": np.ones(1, np.float32)})
    assert net.weight.dtype == jnp.float16


@pytest.mark.parametrize("dtype", [np.int32, bool, np.complex64])
def test_a_gradient_is_of_the_kind_of_its_parameter(dtype):
    # torch refuses them too.
    p = nn.Parameter(np.ones(2, np.float32))
    with pytest.raises(TypeError, match=r"grad of Parameter of shape \(2,\) must be of a floating dtype.* got"):
        p.grad = np.ones(2, dtype)
    assert p.grad is None
    p = nn.Parameter(np.ones(2, np.complex64))
    p.grad = np.ones(2, np.complex64)
    assert p.grad.dtype == jnp.complex64


def test_a_parameter_that_requires_gradients_holds_no_integers():
    # torch refuses both too.
    net = nn.Linear(1, 1)
    before = np.asarray(net.bias.data)
    with pytest.raises(RuntimeError, match=r"'Linear.weight' of shape .* must be floating, got dtype int32"):
        net.weight.data = np.ones((1, 1), np.int32)
    with pytest.raises(RuntimeError, match=r'While copying the parameter named "weight": .* must be floating'):
        net.load_state_dict({"weight": np.ones((1, 1), bool), "bias": before + 1}, assign=True)
    assert net.weight.dtype == jnp.float32
    assert_close(net.bias, before)
    net.weight.requires_grad_(False).data = np.ones((1, 1), np.int32)
    assert net.weight.dtype == jnp.int32


def test_extra_state():
    class Extra(nn.Module):
        def __init__(self):
            super().__init__()
            self.tag = 0

        def get_extra_state(self):
            return {"tag": self.tag}

        def set_extra_state(self, state):
            self.tag = state["tag"]

    a, b = nn.Sequential(Extra()), nn.Sequential(Extra())
    a[0].tag = 5
    assert a.state_dict() == {"0._extra_state": {"tag": 5}}
    b.load_state_dict(a.state_dict())
    assert b[0].tag == 5
    with pytest.raises(RuntimeError, match="Missing key"):
        b.load_state_dict({})


def test_state_dict_and_load_hooks():
    net = nn.Linear(1, 1)
    calls = []
    with net.register_state_dict_pre_hook(lambda module, prefix, keep_vars: calls.append("pre")):
        handle = net.register_state_dict_post_hook(lambda module, out, prefix, meta: out.update(mark=1))
        assert net.state_dict()["mark"] == 1
        handle.remove()
    assert "mark" not in net.state_dict()
    assert calls == ["pre"]

    def rename(module, state_dict, prefix, *rest):
        state_dict[prefix + "weight"] = state_dict.pop(prefix + "old")

    net.register_load_state_dict_pre_hook(rename)
    net.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    net.load_state_dict({"old": np.full((1, 1), 4.0)}, strict=False)
    assert float(net.weight) == 4.0


def test_deepcopy_and_pickle():
    net = Net()
    net.fc2.weight = nn.Parameter(net.fc2.weight.data)
    net.tied = net.fc1
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other.tied is other.fc1
        for (name, p), (other_name, q) in zip(net.named_parameters(), other.named_parameters(), strict=True):
            assert name == other_name
            assert p is not q
            assert_close(q, p)
        other.fc1.bias.zero_()
        assert float(abs(net.fc1.bias.data).sum()) > 0
        assert other(ones(1, 3)).shape == (1, 2)


def test_forward_missing():
    with pytest.raises(NotImplementedError, match='missing the required "forward"'):
        nn.Module()(1)


def test_forward_hooks():
    net = nn.Linear(2, 2)
    seen = []
    pre = net.register_forward_pre_hook(lambda m, args: (args[0] * 0,))
    post = net.register_forward_hook(lambda m, args, out: seen.append(np.asarray(args[0])) or out + 1)
    assert_close(net(ones(1, 2)), net.bias.numpy()[None] + 1)
    assert seen[0].tolist() == [[0.0, 0.0]]
    pre.remove()
    post.remove()
    assert_close(net(0 * ones(1, 2)), net.bias.numpy()[None])
    kw = net.register_forward_hook(lambda m, args, kwargs, out: out * len(kwargs), with_kwargs=True)
    assert_close(net(input=0 * ones(1, 2)), net.bias.numpy()[None])
    kw.remove()
    order = []
    net.register_forward_hook(lambda *a: order.append(1))
    net.register_forward_hook(lambda *a: order.append(2), prepend=True)
    with nn.register_module_forward_hook(lambda *a: order.append(0)):
        net(0 * ones(1, 2))
    assert order == [0, 2, 1]


def test_full_backward_hooks_see_and_replace_gradients():
    net = nn.Linear(2, 1)
    seen = {}

    def hook(module, grad_input, grad_output):
        seen["output"] = grad_output[0].shape
        return (grad_input[0] * 2,)

    plain = jax.grad(lambda x: net(x).sum())(ones(3, 2))
    net.register_full_backward_hook(hook)
    net.register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 5,))
    assert_close(jax.grad(lambda x: net(x).sum())(ones(3, 2)), 10 * plain)
    assert seen["output"] == (3, 1)

    inputs = []
    other = nn.Linear(2, 1)
    other.register_full_backward_hook(lambda m, gi, go: inputs.append(gi))
    fnn.backward(lambda: other(ones(3, 2)).sum(), other)
    assert inputs == [(None,)]


def test_zero_grad():
    net = nn.Linear(2, 1)
    fnn.backward(lambda: net(ones(3, 2)).sum(), net)
    assert_close(net.bias.grad, np.array([3.0], np.float32))
    net.zero_grad(set_to_none=False)
    assert_close(net.bias.grad, np.zeros(1, np.float32))
    net.zero_grad()
    assert net.bias.grad is None


class TestParameter:
    def test_reads_like_an_array(self):
        p = nn.Parameter(np.arange(6.0).reshape(2, 3))
        assert p.shape == (2, 3)
        assert p.size() == (2, 3)
        assert p.size(1) == 3
        assert p.numel() == 6
        assert p.dim() == 2
        assert len(p) == 2
        assert_close(jnp.exp(p), np.exp(p.numpy()))
        assert_close(jax.nn.relu(p - 2), np.maximum(p.numpy() - 2, 0))
        assert_close(2 - p, 2 - p.numpy())
        assert_close(p @ p.T, p.numpy() @ p.numpy().T)
        assert_close(p[1], p.numpy()[1])
        assert_close(p.sum(0), p.numpy().sum(0))
        assert_close((p > 2).astype(int), (p.numpy() > 2).astype(int))
        assert float(nn.Parameter(3.5)) == 3.5
        assert hash(p) == hash(p)
        assert [r.shape for r in p] == [(3,), (3,)]

    def test_in_place(self):
        p = nn.Parameter(np.ones(3))
        q = p
        p += 1
        p *= 3
        assert p is q
        assert p.numpy().tolist() == [6.0, 6.0, 6.0]
        p[1] = 0
        assert p.numpy().tolist() == [6.0, 0.0, 6.0]
        assert p.copy_(2.0).fill_(4).zero_().add_(1) is p
        assert p.numpy().tolist() == [1.0, 1.0, 1.0]
        with pytest.raises(ValueError, match="must broadcast to"):
            p.copy_(np.ones(4))

    def test_integer_cannot_require_grad(self):
        with pytest.raises(RuntimeError, match="only a floating Parameter"):
            nn.Parameter(np.arange(3))
        assert not nn.Parameter(np.arange(3), requires_grad=False).requires_grad

    def test_grad_shape_is_checked(self):
        p = nn.Parameter(np.ones(3))
        with pytest.raises(ValueError, match="must have its shape"):
            p.grad = np.ones(4)

    def test_is_a_pytree(self):
        p = nn.Parameter(np.ones(3))
        doubled = jax.tree.map(lambda a: a * 2, p)
        assert isinstance(doubled, nn.Parameter)
        assert_close(jax.jit(lambda q: q * 2)(p), 2 * np.ones(3))
        assert_close(jax.grad(lambda q: (q * q).sum())(p).data, 2 * np.ones(3))

    def test_not_an_array(self):
        with pytest.raises(TypeError, match="must be an array"):
            nn.Parameter("text")


@needs_torch
def test_torch_checkpoint_loads_and_repr_is_torchs():
    import torch

    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Sequential(torch.nn.Linear(4, 2, bias=False))
    )
    ours = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 2, bias=False)))
    assert repr(ours) == repr(theirs)
    ours.load_state_dict(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = np.ones((2, 3), np.float32)
    assert_close(ours(x), theirs(torch.from_numpy(x)).detach().numpy(), 1e-6)


@needs_torch
def test_bfloat16_torch_checkpoint_loads():
    import torch

    theirs = torch.nn.Linear(3, 4).bfloat16()
    ours = nn.Linear(3, 4).bfloat16()
    ours.load_state_dict(theirs.state_dict())
    assert_close(ours.weight.data.astype(jnp.float32), theirs.weight.detach().float().numpy())


def test_arguments_of_the_base_are_refused_unless_it_passes_them_on():
    class Wrong(nn.Module):
        def __init__(self):
            super().__init__(3)

    class Named(nn.Module):
        def __init__(self):
            super().__init__(size=3)

    with pytest.raises(TypeError, match=r"Wrong.__init__: Module.__init__ takes no arguments, got 1 positional"):
        Wrong()
    with pytest.raises(TypeError, match=r"Named.__init__: Module.__init__ takes no arguments, got the keyword 'size'"):
        Named()

    class Mixin:
        def __init__(self, size):
            self.size = size

    class Passing(nn.Module, Mixin):
        call_super_init = True

    assert Passing(4).size == 4
