"""Every import path of torch for a name that fnn has works with ``torch`` spelled ``fnn``, and gives the same object."""

import pkgutil
import sys
import types

import pytest

import fnn
from fnn import nn, optim
from tests.oracle import HAS_TORCH, needs_torch

# Rooms of torch that have nothing to do with nn, functional and optim as fnn rebuilds them.
ELSEWHERE = {"intrinsic", "qat", "quantized", "quantizable", "backends", "attention", "_multi_tensor"}
ELSEWHERE |= {
    "_functions",
    "_expanded_weights",
    "_per_sample_grad",
    "_deprecation_utils",
    "_reduction",
    "_named_member_accessor",
    "_functional",
}

# Names of torch that fnn does not have, and why.
ABSENT = {
    **dict.fromkeys(["Container", "clip_grad_norm", "DistributedDataParallelCPU"], "deprecated in torch"),
    **dict.fromkeys(["T", "R", "T_module", "bind", "factory_kwargs", "assert_int_or_pair"], "torch's own help"),
    **dict.fromkeys(
        [
            "is_namedtuple",
            "get_a_var",
            "apply_permutation",
            "UninitializedTensorMixin",
            "autocast_decorator",
            "OptState",
        ],
        "torch's own help",
    ),
    **dict.fromkeys(
        ["grouped_mm", "scaled_mm", "scaled_grouped_mm", "ScalingType", "SwizzleType"], "products of scaled types"
    ),
    **dict.fromkeys([f"conv{n}d_{part}" for n in (1, 2, 3) for part in ("input", "weight")], "jax.grad does it"),
    **dict.fromkeys(["parallel_apply", "replicate", "gather", "scatter", "scatter_kwargs"], "jax.sharding does it"),
    **dict.fromkeys(["broadcast", "broadcast_coalesced", "reduce_add", "reduce_add_coalesced"], "jax.sharding does it"),
    **dict.fromkeys([f"convert_conv{n}d_weight_memory_format" for n in (2, 3)], "arrays have no memory format"),
    "register_module_backward_hook": "deprecated in torch",
    "functional_call": "fnn.functional_call, which returns the buffers too",
}

PRIVATE = {
    "nn.modules.utils": ["_single", "_pair", "_triple", "_quadruple", "_ntuple"],
    "nn.modules.batchnorm": ["_BatchNorm", "_NormBase", "_LazyNormBase"],
    "nn.modules.instancenorm": ["_InstanceNorm"],
    "nn.modules.conv": ["_ConvNd", "_ConvTransposeNd"],
    "nn.modules.loss": ["_Loss", "_WeightedLoss"],
    "nn.modules.transformer": ["_get_activation_fn", "_get_clones"],
    "nn.modules.module": ["_IncompatibleKeys"],
    "nn.modules.pooling": [
        "_MaxPoolNd",
        "_MaxUnpoolNd",
        "_AvgPoolNd",
        "_LPPoolNd",
        "_AdaptiveMaxPoolNd",
        "_AdaptiveAvgPoolNd",
    ],
    "nn.common_types": ["_size_1_t", "_size_2_t", "_size_3_t", "_size_any_t", "_ratio_2_t", "_ratio_any_t"],
    "nn.init": ["_calculate_fan_in_and_fan_out", "_no_grad_trunc_normal_"],
    "optim.lr_scheduler": ["_LRScheduler"],
}


def torch_paths():
    """Pairs of a module below torch and a public name that it defines or lists, as far as fnn has the name."""
    if not HAS_TORCH:
        return []
    import torch

    found = []
    for root in (torch.nn, torch.optim, torch.amp):
        modules = [root.__name__, *(m.name for m in pkgutil.walk_packages(root.__path__, root.__name__ + "."))]
        for name in modules:
            if ELSEWHERE & set(name.split(".")):
                continue
            module = sys.modules.get(name)
            if module is None:
                continue
            listed = set(getattr(module, "__all__", ()))
            for member, value in vars(module).items():
                public = not member.startswith("_") and not isinstance(value, types.ModuleType)
                origin = str(getattr(value, "__module__", ""))
                shown = (
                    hasattr(module, "__path__")
                    and not listed
                    and origin.startswith(("torch.nn", "torch.optim", "torch.amp"))
                )
                if public and (member in listed or origin == name or shown):
                    found.append((name.removeprefix("torch."), member))
    return found


def imported(path, name):
    """What ``from fnn.<path> import <name>`` gives."""
    names = {}
    exec(f"from fnn.{path} import {name}", names)
    return names[name]


def is_there(path, name):
    """Whether ``from fnn.<path> import <name>`` works."""
    try:
        imported(path, name)
    except ImportError:
        return False
    return True


@needs_torch
def test_every_public_path_of_torch():
    paths = torch_paths()
    assert len(paths) > 800
    missing = {(path, name) for path, name in paths if not is_there(path, name)}
    assert {f"fnn.{path}.{name}" for path, name in missing if name not in ABSENT} == set()
    assert {name for name in ABSENT if name not in {name for _, name in missing}} == set(), "no longer absent"


@needs_torch
def test_a_class_is_the_same_by_every_path():
    for path, name in torch_paths():
        if name[0].isupper() and name not in ABSENT and isinstance(getattr(nn, name, None), type):
            value = imported(path, name)
            # prune.Identity and kin are other classes of one name in torch too.
            assert value is getattr(nn, name) or "prune" in path, f"fnn.{path}.{name}"


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, names in PRIVATE.items() for name in names])
def test_underscored_helpers_that_real_code_imports(path, name):
    assert imported(path, name) is not None


@pytest.mark.parametrize(
    ("package", "name"),
    [(fnn, "jit"), (fnn.transforms, "jit"), (fnn.transforms, "backward"), (fnn, "backward")]
    + [(optim, name) for name in ("adam", "sgd", "adamw", "lbfgs", "asgd", "rprop", "rmsprop", "sparse_adam")]
    + [(nn.functional, name) for name in ("linear", "fold", "dropout", "normalize", "embedding", "pad")]
    + [(nn.utils, name) for name in ("weight_norm", "spectral_norm")]
    + [(nn.parallel, "data_parallel")],
)
def test_a_function_that_bears_its_files_name_is_the_function(package, name):
    assert callable(getattr(package, name))
    assert callable(
        imported(package.__name__.removeprefix("fnn").removeprefix("."), name) if package is not fnn else fnn.jit
    )
