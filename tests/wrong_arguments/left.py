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
    *("DataParallel", "Transform", "Plateau", "KeyValueCache", "SWALR", "swap_in_optimizer_params_and_state"),
}

MASKS = ("mask", "key_padding_mask", "is_causal")
_SCHEDULERS = ("CyclicLR", "OneCycleLR", "MultiStepLR", "SWALR", "LambdaLR", "MultiplicativeLR", "StepLR")

# (callable, argument) or (callable, argument, kind).
LEFT: set[tuple[str, ...]] = {
    # A function or Module of the user's is called, and the error is its own.
    ("F.triplet_margin_with_distance_loss", "distance_function", "module"),
    ("nn.TripletMarginWithDistanceLoss", "distance_function"),
    *((name, "closure", "module") for name in ("SGD.step", "backward")),
    *((name, "fn") for name in ("Sequential.apply",)),
    *((f"schedule.{name}", "scale_fn", "function") for name in ("cyclic_lr",)),
    *((f"schedule.{name}", "lr_lambda", "function") for name in ("lambda_lr", "multiplicative_lr")),
    *((f"lr_scheduler.{name}", "lr_lambda") for name in _SCHEDULERS),
    ("lr_scheduler.CyclicLR", "scale_fn"),
    # What goes on to the forward of a Module is its to refuse.
    ("functional_call", "args"),
    ("parallel.data_parallel", "inputs"),
    # A Module without parameters has none that the rules name.
    ("parallel.shard", "model", "module"),
    ("swa_utils.update_bn", "loader"),
    # Right in kind, and not there: the errors name what was looked for, in torch's words or types.
    *((f"Sequential.{name}", "target") for name in ("get_buffer", "get_parameter", "get_submodule", "set_submodule")),
    *((f"checkpoint.{name}", "path") for name in ("load", "open_checkpoint", "save")),
    *((name, argument) for name in ("spectral_norm", "weight_norm") for argument in ("module", "name")),
    *((f"remove_{name}", argument) for name in ("spectral_norm", "weight_norm") for argument in ("module", "name")),
    *((f"parametrizations.{n}", a) for n in ("orthogonal", "spectral_norm", "weight_norm") for a in ("module", "name")),
    *(
        (f"parametrize.{n}", a)
        for n in ("register_parametrization", "remove_parametrizations")
        for a in ("module", "tensor_name")
    ),
    *(("parametrize.transfer_parametrizations_and_params", a) for a in ("from_module", "to_module", "tensor_name")),
    *((name, "model") for name in ("functional_call", "update")),
    ("functional_call", "buffers", "dict"),
    ("ModuleDict.pop", "key"),
    ("ParameterDict.pop", "key"),
    # The layer hands its argument on: the error names the function that it calls, and the argument there.
    ("nn.PoissonNLLLoss()", "log_input"),
    ("nn.RMSNorm()", "x"),
    *((f"nn.{name}()", "input") for name in ("Flatten", "Unflatten")),
    *(
        (f"nn.Transformer{part}()", a)
        for part in ("", "Encoder", "EncoderLayer", "Decoder", "DecoderLayer")
        for a in ("src", "tgt", "memory", "mask", *(f"{b}_{m}" for b in ("src", "tgt", "memory") for m in MASKS))
    ),
    ("random.next_key", "rng"),  # the function is an argument too
    # A traced array is refused where it would be kept.
    *(("nn.Transformer", a, "traced") for a in ("custom_encoder", "custom_decoder", "norm_first")),
    ("nn.PairwiseDistance", "p", "traced"),
    *(
        (f"nn.Transformer{n}", a, "traced")
        for n in ("", "EncoderLayer", "DecoderLayer")
        for a in ("dropout", "layer_norm_eps", "batch_first")
    ),
    # Right in kind, and not there.
    ("checkpoint.Manager", "folder"),
    ("Manager.load", "step", "negative"),
    # torch's words, which lack the name of the function.
    ("parametrizations.orthogonal", "orthogonal_map"),
    ("parametrizations.spectral_norm", "n_power_iterations"),
    ("spectral_norm", "n_power_iterations"),
    *((f"fuse_{kind}_bn_eval", a) for kind in ("conv", "linear") for a in ("conv", "linear", "bn", "transpose")),
    # The error names what the argument makes: the deviation or the bounds, the shape of a statistic, the dtype of a Parameter.
    *((f"init.{name}", a) for name in ("xavier_normal", "xavier_uniform") for a in ("gain",)),
    *((f"init.{name}_", a) for name in ("xavier_normal", "xavier_uniform") for a in ("gain",)),
    *((f"init.kaiming_{name}", "a") for name in ("normal", "uniform", "normal_", "uniform_")),
    *(
        (f"fuse_{kind}_bn_weights", a)
        for kind in ("conv", "linear")
        for a in (f"{kind}_w", f"{kind}_b", "bn_rm", "bn_rv", "bn_w", "bn_b", "transpose")
    ),
    ("init.calculate_gain", "param", "traced"),
    *(
        (f"init.{name}_", "tensor")
        for name in ("dirac", "eye", "sparse", "orthogonal", "normal", "trunc_normal", "uniform")
    ),
    *((f"init.{name}_", "tensor") for name in ("xavier_normal", "xavier_uniform", "kaiming_normal", "kaiming_uniform")),
    *((f"{name}.insert", "index") for name in ("Sequential", "ModuleList")),
    ("ParameterList.append", "value"),
    *((f"init.{name}", "sparsity", "nan") for name in ("sparse", "sparse_")),
    # Any object is taken, and looked at by another function, whose name the error has.
    ("swa_utils.AveragedModel", "device"),
    ("Sequential.to_empty", "device"),
    *((f"parallel.{name}", "device_ids") for name in ("DataParallel", "DistributedDataParallel", "data_parallel")),
    ("set_rng_state", "state"),
    ("checkpoint.save", "obj"),
    ("rnn.PackedSequence", "sorted_indices"),
    ("rnn.PackedSequence", "unsorted_indices"),
    # The members are looked at one by one, and the error names the one.
    *((f"{name}.extend", a) for name in ("Sequential", "ModuleList", "ParameterList") for a in ("modules", "values")),
    *(
        (name, a)
        for name in ("ModuleDict.update", "ParameterDict.update", "nn.ParameterDict")
        for a in ("modules", "parameters")
    ),
    *((f"nn.{name}", "modules") for name in ("ModuleDict", "ModuleList")),
    ("Manager.save", "state"),
    # Options that need one another, and sizes whose product is refused.
    *((f"optim.{name}", "nesterov") for name in ("SGD", "sgd")),
    # torch's AssertionError and AttributeError of pruning, and its words.
    *(
        (f"prune.{n}", a)
        for n in (
            "identity",
            "remove",
            "custom_from_mask",
            "l1_unstructured",
            "ln_structured",
            "random_structured",
            "random_unstructured",
        )
        for a in ("module", "name", "mask", "importance_scores")
    ),
    ("prune.global_unstructured", "parameters"),
    # None is right, and comes too early in an iteration.
    ("GradScaler.update", "new_scale", "none"),
    # A state or a permutation of no kind that can be told from a right one before it is used.
    ("optim.chain.update", "state"),
    ("optim.ema.update", "params"),
    ("rnn.invert_permutation", "permutation"),
    # The error says how update is called, or names the vector, the gradient, the layer within.
    *(
        (f"optim.{n}.update", "params", "none")
        for n in ("adam", "adamw", "adafactor", "asgd", "muon", "adagrad", "sgd", "nadam")
    ),
    *(
        (f"optim.{n}.update", "params", "none")
        for n in ("radam", "rmsprop", "rprop", "adadelta", "adamax", "accumulate", "partition")
    ),
    *((f"optim.{n}", "params", "parameters") for n in ("Muon", "SparseAdam")),
    ("vector_to_parameters", "parameters"),
    ("clip_grads_with_norm_", "total_norm"),
    ("nn.AdaptiveLogSoftmaxWithLoss()", "input_"),
    ("nn.GroupNorm()", "input"),
    ("nn.Unflatten", "unflattened_size", "traced"),
    # A tracer in the place of an object is named by its class.
    *(
        (name, argument, "traced")
        for name, argument in (("jit", "function"), ("state", "model"), ("skip_init", "module_cls"))
    ),
    *((f"parallel.{name}", "module", "traced") for name in ("DataParallel", "DistributedDataParallel")),
}
