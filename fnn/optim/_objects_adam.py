"""The optimizer objects of Adam and its kin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from fnn.optim.adam import adam, adamax, nadam, radam, sparse_adam
from fnn.optim.optimizer import Optimizer

__all__ = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam", "SparseAdam"]


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
        maximize: whether to go up instead of down.
        decoupled_weight_decay: whether the weight decay acts on the parameters directly, as in AdamW.
        foreach, capturable, differentiable, fused: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Adam([p], lr=0.5).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(adam)
    _elementwise = True

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


class Adamax(Optimizer):
    """Adamax, Adam by the infinity norm (Kingma and Ba, 2014).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adamax.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        betas: decay of the average of the gradient and of its norm.
        eps: added to the gradient's magnitude.
        weight_decay: factor of the parameters added to the gradients.
        maximize: whether to go up instead of down.
        foreach, differentiable, capturable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Adamax([p], lr=0.5).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(adamax)
    _elementwise = True

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)


class NAdam(Optimizer):
    """NAdam, Adam with Nesterov's momentum (Dozat, 2016).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.NAdam.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        betas: decay of the averages of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: factor of the parameters added to the gradients.
        momentum_decay: how fast the momentum rises to ``betas[0]``.
        decoupled_weight_decay: whether the weight decay acts on the parameters directly, as in AdamW.
        maximize: whether to go up instead of down.
        foreach, capturable, differentiable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = NAdam([p], lr=0.5).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.4718
    """

    _rule = staticmethod(nadam)
    _elementwise = True

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)


class RAdam(Optimizer):
    """RAdam, Adam with the variance of its step rectified (Liu et al., 2019).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.RAdam.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        betas: decay of the averages of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: factor of the parameters added to the gradients.
        decoupled_weight_decay: whether the weight decay acts on the parameters directly, as in AdamW.
        maximize: whether to go up instead of down.
        foreach, capturable, differentiable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = RAdam([p], lr=0.25).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(radam)
    _elementwise = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)


class SparseAdam(Optimizer):
    """Adam for row-sparse gradients: the moments of the other rows stay as they are.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.SparseAdam.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        betas: decay of the averages of the gradient and of its square.
        eps: added to the denominator.
        maximize: whether to go up instead of down.

    Raises:
        ValueError: if an option is out of range, or a parameter is complex.
        RuntimeError: at a step, if a gradient is no ``RowSparse``.

    Example:
        >>> import fnn, numpy as np
        >>> table = fnn.nn.Parameter(np.zeros((3, 1)))
        >>> table.grad = fnn.kernels.row_sparse.RowSparse(np.array([1]), np.ones((1, 1)), (3, 1))
        >>> SparseAdam([table], lr=0.5).step()
        >>> table.numpy()[:, 0].round(4).tolist()
        [0.0, -0.5, 0.0]
    """

    _rule = staticmethod(sparse_adam)

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_group(self, group: Mapping[str, Any]) -> None:
        super()._check_group(group)
        for i, parameter in enumerate(group["params"]):
            if jnp.issubdtype(parameter.dtype, jnp.complexfloating):
                raise ValueError(f"SparseAdam: parameters must be real, got {parameter.dtype} at index {i}")

    def _export_state(self, named: dict[str, Any]) -> dict[str, Any]:
        return {**named, "step": int(named["step"])}
