"""Calls of the methods that multiply and decompose matrices, cast, inspect and make arrays."""

import jax.numpy as jnp
import numpy as np

from tests.nn.tensor_methods.comparison import DType, call, f64, i64, mask, positive

_A = f64(3, 4)
_S = f64(4, 4) + 3 * np.eye(4)
_SPD = _S @ _S.T
_STACK = np.stack([_S, _S.T + np.eye(4)])
_BATCH = f64(2, 3, 4)
_F32 = f64(4).astype(np.float32)

CALLS = [
    *(
        call("matmul", x, y)
        for x, y in (
            (_A, f64(4, 2)),
            (_A, f64(4)),
            (f64(3), _A),
            (f64(4), f64(4)),
            (_BATCH, f64(4, 2)),
            (_BATCH, f64(2, 4, 5)),
            (_A, f64(3)),
            (_A, _F32),
            (f64(), _A),
            (i64(2, 3), i64(3, 2)),
        )
    ),
    *(call("mm", x, y) for x, y in ((_A, f64(4, 2)), (_A, f64(4)), (_A, f64(3, 2)))),
    *(call("bmm", x, y) for x, y in ((_BATCH, f64(2, 4, 5)), (_BATCH, f64(3, 4, 5)), (_A, f64(4, 2)))),
    *(call("mv", x, y) for x, y in ((_A, f64(4)), (_A, f64(3)), (_A, f64(4, 1)))),
    *(call("dot", x, y) for x, y in ((f64(4), f64(4)), (f64(4), f64(3)), (_A, f64(4)), (f64(4), _F32))),
    call("vdot", f64(3) + 1j, f64(3) - 2j),
    *(call("inner", x, y) for x, y in ((f64(4), f64(4)), (_A, f64(2, 4)), (_A, f64(3)), (f64(), f64(3)))),
    *(call(n, f64(3), f64(2)) for n in ("outer", "ger")),
    call("outer", _A, f64(3)),
    call("kron", f64(2, 2), f64(2, 3)),
    *(
        call("cross", x, y, *a)
        for x, y, a in (
            (f64(3), f64(3), ()),
            (f64(2, 3), f64(2, 3), (1,)),
            (f64(3, 2), f64(3, 2), ()),
            (f64(3, 2), f64(3, 2), (1,)),
            (f64(1, 3), f64(2, 3), (-1,)),
        )
    ),
    *(call(n, f64(3, 2), _A, f64(4, 2), **k) for n in ("addmm", "addmm_") for k in ({}, {"beta": 0.5, "alpha": 2})),
    call("addmm", np.full((3, 2), np.nan), _A, f64(4, 2), beta=0),
    call("addmm", f64(2), _A, f64(4, 2)),
    call("addmm", f64(3), _A, f64(4, 2)),
    *(call(n, f64(3), _A, f64(4), **k) for n in ("addmv", "addmv_") for k in ({}, {"beta": 0.5, "alpha": 2})),
    *(call(n, f64(3, 2), f64(3), f64(2), **k) for n in ("addr", "addr_") for k in ({}, {"beta": 0.5, "alpha": 2})),
    *(
        call(n, f64(3, 5), _BATCH, f64(2, 4, 5), **k)
        for n in ("addbmm", "addbmm_")
        for k in ({}, {"beta": 0.5, "alpha": 2})
    ),
    *(
        call(n, f64(2, 3, 5), _BATCH, f64(2, 4, 5), **k)
        for n in ("baddbmm", "baddbmm_")
        for k in ({}, {"beta": 0.5, "alpha": 2})
    ),
    *(call(n, x) for n in ("det", "logdet", "slogdet", "inverse") for x in (_S, _STACK, -_S[:3, :3], _A)),
    call("pinverse", _A),
    *(call("matrix_power", _S, n) for n in (0, 1, 3, -2)),
    call("matrix_power", _A, 2),
    call("matrix_exp", _S / 4),
    *(call("cholesky", _SPD, *a) for a in ((), (True,))),
    *(call("cholesky_solve", f64(4, 2), np.linalg.cholesky(_SPD), *a) for a in ((),)),
    call("cholesky_solve", f64(4, 2), np.linalg.cholesky(_SPD).T.copy(), True),
    call("cholesky_inverse", np.linalg.cholesky(_SPD)),
    call("cholesky_inverse", np.linalg.cholesky(_SPD).T.copy(), upper=True),
    *(
        call("triangular_solve", f64(4, 2), _S, **k)
        for k in (
            {},
            {"upper": False},
            {"transpose": True},
            {"unitriangular": True},
            {"upper": False, "transpose": True},
        )
    ),
    call("geqrf", _S),
    call("orgqr", np.linalg.qr(_S, "raw")[0].T.copy(), np.linalg.qr(_S, "raw")[1]),
    *(
        call("ormqr", np.linalg.qr(_S, "raw")[0].T.copy(), np.linalg.qr(_S, "raw")[1], f64(4, 4), *a)
        for a in ((), (False,), (True, True))
    ),
    call("svd", _A, compute_uv=False),
]

_CASTS = "float double half bfloat16 long int short char byte bool cfloat cdouble".split()

CALLS += [
    *(call(n, x) for n in _CASTS for x in (positive(3) * 100, i64(3, low=0), mask(3))),
    call("to", f64(3), DType("float32")),
    call("to", i64(3), DType("float16")),
    call("to", f64(3), dtype=DType("int64")),
    call("to", f64(3), "cpu"),
    call("to", f64(3), "cpu", DType("float32")),
    call("to", f64(3), _F32),
    call("type", f64(3)),
    call("type", _F32),
    call("type", i64(3)),
    call("type", mask(3)),
    call("type", f64(3), DType("int32")),
    call("type", f64(3), "torch.FloatTensor"),
    call("type_as", f64(3), _F32),
    call("cpu", f64(3)),
    call("to_dense", f64(3)),
    *(call("item", x) for x in (f64(), i64(1), mask(1, 1), f64(2), f64(0))),
    *(call("tolist", x) for x in (f64(), i64(2, 2), mask(2), f64(0), f64(2).astype(jnp.bfloat16))),
    *(
        call(n, x)
        for n in (
            "dim",
            "ndimension",
            "numel",
            "nelement",
            "element_size",
            "size",
            "stride",
            "storage_offset",
            "dense_dim",
            "sparse_dim",
            "get_device",
            "is_contiguous",
            "is_floating_point",
            "is_complex",
            "is_signed",
            "is_nonzero",
            "is_conj",
            "is_neg",
            "is_inference",
            "is_distributed",
            "is_pinned",
            "is_shared",
            "dim_order",
        )
        for x in (f64(2, 3), i64(1), f64(), mask(1), f64(1) + 1j)
    ),
    *(call(n, f64(2, 3), d) for n in ("size", "stride") for d in (0, 1, -1, 2)),
    call("is_same_size", f64(2, 3), f64(2, 3)),
    call("is_same_size", f64(2, 3), f64(6)),
    call("is_nonzero", np.zeros(1)),
    *(
        call(n, x, *a, **k)
        for n in ("new_zeros", "new_ones")
        for x in (f64(2), i64(2))
        for a, k in (
            ((2, 3), {}),
            (((2,),), {}),
            ((2,), {"dtype": DType("float32")}),
            ((), {"size": (3,)}),
            (((),), {}),
        )
    ),
    call("new_full", i64(2), (2, 2), 7),
    call("new_full", f64(2), (2,), 7),
    call("new_tensor", _F32, [1, 2, 3]),
    call("new_tensor", _F32, [1, 2], dtype=DType("int64")),
    call("fill_", f64(3), 2),
    call("fill_", i64(3), 1.5),
    call("fill_", f64(3), np.array(1.5)),
    call("fill_", f64(3), f64(3)),
    call("zero_", f64(3)),
    *(
        call("copy_", x, y)
        for x, y in ((f64(2, 3), f64(3)), (_F32, f64(4)), (i64(3), f64(3)), (f64(3), f64(2, 3)), (mask(3), f64(3)))
    ),
]
