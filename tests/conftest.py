"""Settings of the test run: float64 on, CPU, no time spent on optimizing compiled code; they must precede ``import jax``."""

import os
from collections import Counter

import pytest
from hypothesis import settings

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run: a failure can be repeated, and no run fails by chance.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

# Parametrized tests of which the everyday run takes every n-th case; the others are `slow`, which CI runs too.
THINNED = {
    "examples/test_digits.py::test_twenty_steps_follow_torch": 0,
    "functional/test_activation.py::test_elementwise_against_torch": 3,
    "functional/test_activation.py::test_prelu": 3,
    "functional/test_activation.py::test_softmax_family": 3,
    "functional/test_attention_multi_head.py::test_against_torch": 3,
    "functional/test_conv.py::test_against_torch": 3,
    "functional/test_distance.py::test_cosine_similarity": 3,
    "functional/test_distance.py::test_normalize": 3,
    "functional/test_distance.py::test_pairwise_distance": 3,
    "functional/test_distance.py::test_pdist": 3,
    "functional/test_dropout.py::test_keys": 3,
    "functional/test_dropout.py::test_transforms": 3,
    "functional/test_fold.py::test_against_torch": 3,
    "functional/test_loss.py::test_against_torch": 5,
    "functional/test_loss.py::test_dtypes": 3,
    "functional/test_loss.py::test_losses_torch_differentiates_in_the_input_only": 3,
    "functional/test_loss.py::test_transforms": 5,
    "functional/test_loss_classification.py::test_index_targets_against_torch": 3,
    "functional/test_loss_classification.py::test_probability_targets_against_torch": 3,
    "functional/test_loss_ctc.py::test_against_torch": 3,
    "functional/test_normalization.py::test_batch_norm_and_its_update": 3,
    "functional/test_normalization.py::test_group_norm": 3,
    "functional/test_normalization.py::test_layer_and_rms_norm": 2,
    "functional/test_padding.py::test_extension_equals_torch": 3,
    "functional/test_pooling.py::test_adaptive": 3,
    "functional/test_pooling.py::test_fractional": 3,
    "functional/test_pooling.py::test_max_pool": 3,
    "functional/test_pooling.py::test_transforms": 3,
    "functional/test_recurrent.py::test_stacks_under_transformations": 3,
    "functional/test_sparse.py::test_embedding_bag": 3,
    "functional/test_vision.py::test_grid_sample_equals_torch": 4,
    "functional/test_vision.py::test_grid_sample_transforms": 3,
    "functional/test_vision.py::test_shuffles_equal_torch": 3,
    "functional/test_vision_resize.py::test_equals_torch": 3,
    "functional/test_vision_resize.py::test_transforms": 3,
    "kernels/test_adaptive_pooling.py::test_dtypes": 2,
    "kernels/test_adaptive_pooling.py::test_maxima_of_nan_and_infinities": 4,
    "kernels/test_adaptive_pooling.py::test_nothing_to_do": 3,
    "kernels/test_adaptive_pooling.py::test_shapes": 3,
    "kernels/test_adaptive_pooling.py::test_vmap": 2,
    "kernels/test_attention.py::test_dropout_draws_the_same_in_both_forms": 4,
    "kernels/test_attention.py::test_masks": 2,
    "kernels/test_attention.py::test_narrow_dtypes": 3,
    "kernels/test_attention_cudnn.py::test_forms_off_cuda": 2,
    "kernels/test_attention_cudnn.py::test_values": 5,
    "kernels/test_operation.py::test_batching": 2,
    "kernels/test_operation.py::test_transformations": 3,
    "kernels/test_pooling.py::test_nan_and_infinities": 3,
    "kernels/test_pooling.py::test_nan_reaches_the_maximum_on_every_axis": 2,
    "kernels/test_pooling.py::test_shapes": 3,
    "kernels/test_recurrent.py::test_values_and_gradients": 3,
    "nn/test_attention.py::test_against_torch": 3,
    "nn/test_recurrent.py::test_layer_against_torch": 3,
    "optim/test_lbfgs.py::test_follows_torch_closure_by_closure": 3,
    "optim/test_objects.py::test_parameters_follow_torch": 3,
    "optim/test_rules.py::test_eager_steps_follow_torch": 3,
    "optim/test_rules.py::test_parameters_follow_torch": 3,
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks what ``THINNED`` leaves out of the everyday run."""
    seen = Counter()
    for item in items:
        name = item.nodeid.partition("[")[0].removeprefix("tests/")
        step = THINNED.get(name)
        if step is not None and item.get_closest_marker("slow") is None:
            if step == 0 or seen[name] % step:
                item.add_marker(pytest.mark.slow)
            seen[name] += 1
