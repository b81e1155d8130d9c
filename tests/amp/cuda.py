"""torch's autocast for CUDA without a GPU: its fake tensors of that device compute shapes and dtypes alone."""

import contextlib
import logging

import numpy as np

from tests.oracle import leaves


def names_of_dtypes(result):
    """The dtypes of all the arrays of a result."""
    return [str(array.dtype).removeprefix("torch.") for array in leaves(result) if hasattr(array, "dtype")]


class FakeCuda:
    """Makes tensors that say they are on a GPU, and runs calls on them under autocast."""

    def __init__(self):
        from torch._subclasses.fake_tensor import FakeTensorMode

        self._mode = FakeTensorMode(allow_non_fake_inputs=True)

    def tensor(self, shape, dtype):
        import torch

        return torch.empty(shape, dtype=getattr(torch, np.dtype(dtype).name), device="cuda")

    @contextlib.contextmanager
    def autocast(self, dtype):
        """Without a GPU ``torch.autocast`` turns itself off; what it sets can be set."""
        import torch

        logging.disable(logging.CRITICAL)  # torch logs refused calls
        before = torch.get_autocast_dtype("cuda")
        torch.set_autocast_enabled("cuda", True)
        torch.set_autocast_dtype("cuda", getattr(torch, dtype))
        try:
            with self._mode, torch.no_grad():
                yield
        finally:
            torch.set_autocast_enabled("cuda", False)
            torch.set_autocast_dtype("cuda", before)
            torch.clear_autocast_cache()
            logging.disable(logging.NOTSET)
