"""torch's path of ``GradScaler``."""

from fnn.optim.grad_scaler import GradScaler as GradScaler

__all__ = ["GradScaler"]
