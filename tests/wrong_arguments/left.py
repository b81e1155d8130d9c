"""What the generated test passes over, and why."""

from __future__ import annotations

# Public names that take no argument, that are no more than a record of fields or an abstract base, or that others stand for.
NOT_CALLED = {
    *("LinearCrossEntropyOptions", "Module", "BasePruningMethod", "Optimizer", "LRScheduler", "Checkpoint", "Saved"),
    *(
        "Identity",
        "cached",
        "get_swa_avg_fn",
        "get_swa_multi_avg_fn",
        "current_generator",
        "get_rng_state",
        "initial_seed",
    ),
    *("UninitializedParameter", "UninitializedBuffer"),  # their values come later: no result of theirs can be looked at
    *("Transform", "Plateau", "Schedule"),
    *("SWALR",),  # among the schedulers
    *("swap_in_optimizer_params_and_state", "register_optimizer_step_pre_hook", "register_optimizer_step_post_hook"),
}

# (callable, argument) or (callable, argument, kind).
LEFT: set[tuple[str, ...]] = set()
