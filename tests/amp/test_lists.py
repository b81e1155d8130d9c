"""The lists of ``autocast`` are those of torch's documentation, and give every function the dtype that torch's CUDA gives it."""

import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

import fnn
from fnn import nn
from fnn.amp.lists import POLICIES, Policy
from fnn.nn import functional as F
from tests.amp.cuda import FakeCuda, names_of_dtypes
from tests.functional.fuzz.draws import Array, Dtype, calls
from tests.functional.fuzz.table import table
from tests.nn.tensor_methods.comparison import DType
from tests.nn.tensor_methods.test_tensor_methods import CALLS
from tests.oracle import leaves, needs_torch

# "CUDA Ops that can autocast to float16", "that can autocast to float32" and "that promote to the widest input type" of
# https://docs.pytorch.org/docs/2.13/amp.html, word for word.
DOCUMENTED = {
    Policy.LOW: """__matmul__ addbmm addmm addmv addr baddbmm bmm chain_matmul multi_dot conv1d conv2d conv3d conv_transpose1d
        conv_transpose2d conv_transpose3d GRUCell linear LSTMCell matmul mm mv prelu RNNCell""",
    Policy.FLOAT32: """__pow__ __rdiv__ __rpow__ __rtruediv__ acos asin binary_cross_entropy_with_logits cosh
        cosine_embedding_loss cdist cosine_similarity cross_entropy cumprod cumsum dist erfinv exp expm1 group_norm
        hinge_embedding_loss kl_div l1_loss layer_norm log log10 log_softmax log1p log2 margin_ranking_loss mse_loss
        multilabel_margin_loss multi_margin_loss nll_loss norm normalize pdist poisson_nll_loss pow prod reciprocal rsqrt sinh
        smooth_l1_loss soft_margin_loss softmax softmin softplus sum renorm tan triplet_margin_loss""",
    Policy.WIDEST: "addcdiv addcmul atan2 bilinear cross dot grid_sample index_put scatter_add tensordot",
}
# Documented names that fnn spells otherwise, or does not have: jax.numpy does.
OTHERWISE = {"GRUCell": "gru_cell", "LSTMCell": "lstm_cell", "RNNCell": "rnn_cell"}
ABSENT = {"chain_matmul", "multi_dot", "__rdiv__", "cdist", "tensordot"}
# In torch's lists, but not in the documentation of them; or another name of what is.
UNDOCUMENTED = set(
    """conv_tbc scaled_dot_product_attention rnn lstm gru __rmatmul__
    huber_loss logsumexp interpolate upsample upsample_nearest upsample_bilinear arccos arcsin
    vdot arctan2 binary_cross_entropy""".split()
)
# What torch composes of functions in the lists.
COMPOSED = set(
    """gumbel_softmax pairwise_distance gaussian_nll_loss multilabel_soft_margin_loss triplet_margin_with_distance_loss
    local_response_norm rms_norm lp_pool1d lp_pool2d lp_pool3d square sum_to_size""".split()
)
# torch has no such function of halves.
NO_HALVES = {"ctc_loss"}


def test_the_lists_are_those_of_the_documentation():
    for policy, names in DOCUMENTED.items():
        for name in names.split():
            if name not in ABSENT:
                assert POLICIES.get(OTHERWISE.get(name, name)) is policy, name
    documented = {OTHERWISE.get(n, n) for names in DOCUMENTED.values() for n in names.split()} - ABSENT
    assert set(POLICIES) == documented | UNDOCUMENTED | COMPOSED | NO_HALVES
    assert all(not hasattr(F, name) and not hasattr(nn.Parameter, name) for name in ABSENT)


def test_what_is_listed_is_there():
    for name in POLICIES:
        assert inspect.isfunction(getattr(F, name, None)) or inspect.isfunction(getattr(nn.Parameter, name, None)), name


# Every function


def filled(call, array, dtype):
    """The arguments of a random call."""
    marks, tree = jax.tree.flatten((call.args, call.kwargs))
    values = [array(m) if isinstance(m, Array) else dtype(m.name) if isinstance(m, Dtype) else m for m in marks]
    return jax.tree.unflatten(tree, values)


def dtypes_of(call):
    return [m.dtype for m in jax.tree.leaves((call.args, call.kwargs)) if isinstance(m, Array)]


def cuda_dtypes(fake, row, call, low):
    """What torch gives; ``None`` if it refuses the call, or its fake tensors cannot do it."""
    import torch

    try:
        with fake.autocast(low), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            args, kwargs = filled(call, lambda m: fake.tensor(m.shape, m.dtype), lambda name: getattr(torch, name))
            return names_of_dtypes(row.theirs(*args, **kwargs))
    except Exception:
        return None


def our_dtypes(row, call, low):
    """What we give, by an abstract evaluation; ``None`` if the call is refused."""
    arrays = [
        jnp.asarray(m.values("plain", [1])) for m in jax.tree.leaves((call.args, call.kwargs)) if isinstance(m, Array)
    ]

    def run(arrays):
        rest = iter(arrays)
        args, kwargs = filled(call, lambda _: next(rest), jnp.dtype)
        with fnn.autocast(dtype=low), fnn.random.key_scope(jax.random.key(0)):
            return leaves(row.ours(*args, **kwargs))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return names_of_dtypes(jax.eval_shape(run, arrays))
    except (TypeError, ValueError, RuntimeError, IndexError):
        return None


def alike(theirs, ours):
    """Equal floating dtypes; integers are as long as JAX has them."""
    return [d for d in theirs if "int" not in d] == [d for d in ours if "int" not in d]


# What torch's fake tensors cannot do, or torch refuses: the dtypes are those of the functions that these are made of.
UNKNOWN = {"gaussian_nll_loss", "gru", "gru_cell", "unfold", "ctc_loss", "binary_cross_entropy", "one_hot"}
UNKNOWN |= {"batch_norm_update", "instance_norm_update"}


@needs_torch
@pytest.mark.one_in(6)
@pytest.mark.parametrize("name", table())
def test_the_dtype_of_a_function_is_that_of_torchs_cuda(name):
    row, fake, compared = table()[name], FakeCuda(), 0

    @seed(1)
    @settings(
        max_examples=20, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(calls(row.make, 1))
    def every(call):
        nonlocal compared
        dtypes = set(dtypes_of(call))
        if any(0 in m.shape for m in jax.tree.leaves((call.args, call.kwargs)) if isinstance(m, Array)):
            return  # torch returns some empty inputs as they are
        for low in ("bfloat16", "float16"):
            if ({"bfloat16", "float16"} - {low}) & dtypes or (
                len(dtypes & {"float64", "float32", low}) > 1 and "float64" in dtypes
            ):
                continue  # torch knows two halves no order; float64 beside others is refused by either
            theirs, ours = cuda_dtypes(fake, row, call, low), our_dtypes(row, call, low)
            if theirs is not None and ours is not None:
                assert alike(theirs, ours), (low, dtypes_of(call), call.kwargs, theirs, ours)
                compared += 1

    every()
    assert compared > 0 or name in UNKNOWN


# Every method of a box

# torch multiplies, where fnn calls one function of JAX's; and it computes these of integers in another dtype.
METHODS_APART = {"matrix_power", "ldexp", "hypot"}


def with_arrays(value, make):
    if isinstance(value, np.ndarray | DType):
        return make(value)
    if isinstance(value, list | tuple):
        return type(value)(with_arrays(v, make) for v in value)
    return value


def narrow(value, floating):
    return floating if value.dtype == np.float64 else value.dtype


def their(fake, floating):
    """What makes torch's arrays and dtypes of the table's, of which float64 stands for the floating dtype."""
    import torch

    return lambda v: getattr(torch, v) if isinstance(v, DType) else fake.tensor(v.shape, narrow(v, floating))


def our(floating):
    """The same for ours."""
    return lambda v: jnp.dtype(str(v)) if isinstance(v, DType) else jnp.asarray(v).astype(narrow(v, floating))


@needs_torch
@pytest.mark.one_in(12)
@pytest.mark.parametrize("method", [name for name in CALLS if name not in METHODS_APART])
def test_the_dtype_of_a_method_is_that_of_torchs_cuda(method):
    fake = FakeCuda()
    for call in CALLS[method][:4]:
        for own, others in (("float32", "float32"), ("bfloat16", "float32"), ("bfloat16", "bfloat16")):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    with fake.autocast("bfloat16"):
                        args = with_arrays(call.args, their(fake, others))
                        kwargs = {k: with_arrays(v, their(fake, others)) for k, v in call.kwargs.items()}
                        theirs = names_of_dtypes(getattr(their(fake, own)(call.content), method)(*args, **kwargs))
                    with fnn.autocast(dtype=jnp.bfloat16):
                        args = with_arrays(call.args, our(others))
                        kwargs = {k: with_arrays(v, our(others)) for k, v in call.kwargs.items()}
                        ours = names_of_dtypes(getattr(nn.Buffer(our(own)(call.content)), method)(*args, **kwargs))
                except Exception:
                    continue  # one of both refuses the call, or the fake tensors cannot do it
            assert alike(theirs, ours), (own, others, call.args, theirs, ours)


# torch's CPU


@needs_torch
def test_where_torchs_cpu_differs_from_its_cuda():
    """On the CPU torch has shorter lists. fnn has those of CUDA everywhere: the difference is written down here."""
    import torch

    x = torch.ones(2, 3, 4)
    half = x.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = {
            "linear": torch.nn.functional.linear(x, x[0]),
            "conv1d": torch.nn.functional.conv1d(x, torch.ones(2, 3, 1)),
            "matmul": x @ x.mT,
            "scaled_dot_product_attention": torch.nn.functional.scaled_dot_product_attention(x, x, x),
            "prelu": torch.nn.functional.prelu(x, torch.ones(1)),
        }
        float32 = {
            "mse_loss": torch.nn.functional.mse_loss(half, half),
            "cosine_embedding_loss": torch.nn.functional.cosine_embedding_loss(half[0], half[0], torch.ones(3)),
            "huber_loss": torch.nn.functional.huber_loss(half, half),
            "kl_div": torch.nn.functional.kl_div(half, half, reduction="sum"),
            "binary_cross_entropy": torch.nn.functional.binary_cross_entropy(half, half),
        }
        left = {
            "softmax": torch.nn.functional.softmax(half, -1),
            "layer_norm": torch.nn.functional.layer_norm(half, (4,)),
            "exp": half.exp(),
            "sum": half.sum(),
            "softplus": torch.nn.functional.softplus(half),
        }
    assert all(v.dtype == torch.bfloat16 for v in low.values()), low
    assert all(v.dtype == torch.float32 for v in float32.values()), float32
    assert all(POLICIES[name] is Policy.LOW for name in low)
    assert all(POLICIES[name] in (Policy.FLOAT32, Policy.REFUSED) for name in float32)
    assert all(v.dtype == torch.bfloat16 for v in left.values()), left
    assert all(POLICIES[name] is Policy.FLOAT32 for name in left)
