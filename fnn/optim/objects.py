"""The optimizer objects: torch's constructors over the pure transforms of the same names in lower case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fnn.optim.adam import adam
from fnn.optim.optimizer import Optimizer
from fnn.optim.sgd import sgd
from fnn.optim.transform import Transform

__all__ = ["SGD", "Adam", "AdamW"]


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
        foreach: accepted; changes nothing.
        differentiable: accepted; changes nothing.
        fused: accepted; changes nothing.

    Raises:
        ValueError: if an option is out of range, or ``nesterov`` lacks a momentum.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = SGD([p], lr=0.5).step(lambda: (p * p).sum())
        >>> p.numpy().tolist()
        [0.0]
    """

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

    def _transform(self, group: Mapping[str, Any]) -> Transform:
        names = ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")
        return sgd(**{name: group[name] for name in names})

    def _export_state(self, named: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in named.items() if name != "step"}

    def _import_state(self, named: dict[str, Any]) -> dict[str, Any]:
        return {"step": 1, **named}


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2014), with AMSGrad (Reddi et al., 2018).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adam.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        betas: decay of the averages of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: factor of the parameters added to the gradients.
        amsgrad: whether to divide by the largest average of the square so far.
        foreach: accepted; changes nothing.
        maximize: whether to go up instead of down.
        capturable: accepted; changes nothing.
        differentiable: accepted; changes nothing.
        fused: accepted; changes nothing.
        decoupled_weight_decay: whether the weight decay acts on the parameters directly, as in AdamW.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Adam([p], lr=0.5).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _transform(self, group: Mapping[str, Any]) -> Transform:
        names = ("lr", "betas", "eps", "weight_decay", "amsgrad", "maximize", "decoupled_weight_decay")
        return adam(**{name: group[name] for name in names})


class AdamW(Adam):
    """Adam whose weight decay acts on the parameters directly (Loshchilov and Hutter, 2019).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.AdamW.html; arguments as ``Adam``.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = AdamW([p], lr=0.5, weight_decay=0.0).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
