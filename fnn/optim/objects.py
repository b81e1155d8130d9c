"""The optimizer objects: torch's constructors over the pure transforms of the same names in lower case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fnn.optim._objects_adam import Adam, Adamax, AdamW, NAdam, RAdam, SparseAdam
from fnn.optim._objects_adaptive import Adadelta, Adafactor, Adagrad, RMSprop, Rprop
from fnn.optim._objects_lbfgs import LBFGS
from fnn.optim.asgd import asgd
from fnn.optim.muon import muon
from fnn.optim.optimizer import Optimizer
from fnn.optim.sgd import sgd

__all__ = [
    "ASGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "LBFGS",
    "Muon",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "SparseAdam",
]


class ASGD(Optimizer):
    """Averaged stochastic gradient descent (Polyak and Juditsky, 1992); ``state[p]["ax"]`` is the average.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.ASGD.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        lambd: decay of the parameters.
        alpha: the power by which the step falls.
        t0: when averaging starts.
        weight_decay: factor of the parameters added to the gradients.
        maximize: whether to go up instead of down.
        foreach, differentiable, capturable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = ASGD([p], lr=0.25).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(asgd)
    _elementwise = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)


class Muon(Optimizer):
    """Muon, for the weight matrices of hidden layers (Jordan et al., 2024).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.Muon.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        weight_decay: decay of the parameters themselves.
        momentum: decay of the average of the gradients.
        nesterov: whether to look ahead along the momentum.
        ns_coefficients: the polynomial of the iteration.
        eps: least norm that a matrix is divided by.
        ns_steps: number of iterations, below 100.
        adjust_lr_fn: 'original' (as ``None``) or 'match_rms_adamw': how the step depends on the shape.

    Raises:
        ValueError: if an option is out of range, or a parameter is no matrix.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones((2, 2)))
        >>> _ = Muon([p], lr=0.1, weight_decay=0.0).step(lambda: (p * p).sum())
        >>> bool((p.data < 1).all())
        True
    """

    _rule = staticmethod(muon)
    _static_options = frozenset({"ns_steps"})

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": tuple(ns_coefficients),
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def _check_group(self, group: Mapping[str, Any]) -> None:
        super()._check_group(group)
        for i, parameter in enumerate(group["params"]):
            if parameter.ndim != 2:
                raise ValueError(f"Muon: parameters must be matrices, got shape {parameter.shape} at index {i}")

    def _export_state(self, named: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in named.items() if name != "step"}

    def _import_state(self, named: dict[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
        return {"step": 1, **named}


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Sutskever et al., 2013).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.SGD.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        momentum: factor of the running sum of gradients.
        dampening: what the momentum takes from each gradient.
        weight_decay: factor of the parameters added to the gradients.
        nesterov: whether to look ahead along the momentum.
        maximize: whether to go up instead of down.
        foreach, differentiable, fused: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range, or ``nesterov`` lacks a momentum.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = SGD([p], lr=0.5).step(lambda: (p * p).sum())
        >>> p.numpy().tolist()
        [0.0]
    """

    _rule = staticmethod(sgd)
    _elementwise = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _export_state(self, named: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in named.items() if name != "step"}

    def _import_state(self, named: dict[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
        return {"step": 1, **named}
