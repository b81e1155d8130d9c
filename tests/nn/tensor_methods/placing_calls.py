"""Calls of the methods that move elements, and that read and exchange them at given places."""

import numpy as np

from tests.nn.tensor_methods.comparison import DType, call, f64, i64, mask

_X = f64(2, 3, 4)
_M = f64(3, 4)

CALLS = [
    *(
        call(n, _X, *a)
        for n in ("view", "reshape")
        for a in ((6, 4), (-1,), (2, -1, 2), ((4, 6),), (5, -1), (-1, -1), (24, 1), ([3, 8],))
    ),
    *(call(n, f64(0, 3), *a) for n in ("view", "reshape") for a in ((3, 0), (0, -1), (0,), (5, -1))),
    call("view", f64(), 1, 1),
    call("view", _X, DType("int64")),
    call("view", _X, DType("int32")),
    call("view", _X.astype(np.float32), DType("float64")),
    call("view", f64(2, 3).astype(np.float32), DType("float64")),
    call("view", f64(), DType("float32")),
    call("view_as", _X, f64(4, 6)),
    call("reshape_as", _X, f64(4, 6)),
    call("ravel", _X),
    *(
        call("flatten", _X, *a, **k)
        for a, k in (
            ((), {}),
            ((1,), {}),
            ((0, 1), {}),
            ((-2, -1), {}),
            ((), {"start_dim": 1, "end_dim": 2}),
            ((2, 1), {}),
        )
    ),
    call("flatten", f64()),
    *(call("unflatten", _X, *a) for a in ((2, (2, 2)), (-1, (-1, 2)), (0, (1, 2)), (1, (2, 2)))),
    *(call(n, f64(1, 2, 1), *a) for n in ("squeeze", "squeeze_") for a in ((), (0,), (1,), (-1,), ((0, 2),), (3,))),
    call("squeeze", f64(), 0),
    *(call(n, _M, d) for n in ("unsqueeze", "unsqueeze_") for d in (0, 1, 2, -1, -3, 3, -4)),
    call("unsqueeze", f64(), 0),
    *(
        call(n + s, _X, *a)
        for n in ("transpose", "swapaxes", "swapdims")
        for s in ("", "_")
        for a in ((0, 1), (-1, 0), (0, 3))
    ),
    call("transpose", f64(), 0, -1),
    *(call(n, x) for n in ("t", "t_") for x in (_M, f64(3), f64(), _X)),
    *(call("adjoint", x) for x in (_M, _X, _M + 1j * _M[::-1])),
    *(call("permute", _X, *a) for a in ((2, 0, 1), ((1, 0, 2),), (-1, 0, 1), (0, 1), (0, 0, 1))),
    call("permute", _X, dims=(2, 1, 0)),
    *(
        call(n, _X, *a)
        for n in ("movedim", "moveaxis")
        for a in ((0, 2), ((0, 1), (1, 2)), (-1, 0), ((0, 0), (1, 2)), ((0, 1), 0))
    ),
    *(
        call("expand", f64(3, 1), *a)
        for a in ((3, 4), (-1, 2), (2, 3, 1), ((2, -1, 5),), (3,), (2, 4), (-1, -1), (3, 0))
    ),
    call("expand", f64(3, 1), size=(3, 2)),
    call("expand", f64(), 2),
    call("expand_as", f64(3, 1), _M),
    call("broadcast_to", f64(3, 1), (2, 3, 4)),
    *(call("repeat", _M, *a) for a in ((2, 1), (2, 1, 3), ((1, 2),), (2,), (0, 1))),
    call("repeat", _M, repeats=(2, 2)),
    *(call("tile", _M, *a) for a in ((2,), (2, 1, 2), ((2, 2),))),
    call("tile", _M, dims=(2,)),
    *(
        call("repeat_interleave", _M, *a)
        for a in ((2,), (2, 0), (np.array([1, 2, 0]), 0), (np.array([2]), 1), (np.array([1, 2]), 0))
    ),
    *(call("sum_to_size", _M, *a) for a in ((3, 1), (1, 4), (4,), ((1, 1),), (2, 4))),
    *(
        call("split", _X, *a, **k)
        for a, k in (((2, 2), {}), ((3, -1), {}), (([1, 2], 1), {}), (([1, 1], 1), {}), ((1,), {}), ((3,), {"dim": 2}))
    ),
    call("split", f64(0), 2),
    call("split_with_sizes", _X, [1, 3], 2),
    call("unsafe_split", _X, 2, 2),
    call("unsafe_split_with_sizes", _X, [1, 3], 2),
    *(call(n, _X, *a) for n in ("chunk", "unsafe_chunk") for a in ((2,), (3, 2), (5, 1), (2, -1))),
    call("chunk", _X, 0),
    call("chunk", f64(0), 2),
    *(call("tensor_split", _X, *a) for a in ((3, 2), ((1, 3), 2), (2, 1), ((1,), 0), ((-1,), 2), ((0, 9), 2))),
    *(call(n, f64(4, 4, 4), *a) for n in ("hsplit", "vsplit", "dsplit") for a in ((2,), ((1, 3),), (3,))),
    call("hsplit", f64(4), 2),
    call("vsplit", f64(4), 2),
    *(call("unbind", _X, *a) for a in ((), (1,), (-1,), (3,))),
    *(
        call(n, _X, *a)
        for n in ("narrow", "narrow_copy")
        for a in ((0, 0, 1), (1, 1, 2), (-1, -2, 2), (1, 2, 2), (1, 4, 0))
    ),
    *(call("select", _X, *a) for a in ((0, 1), (1, -1), (-1, 2), (1, 3), (1, -4))),
    *(call("unfold", f64(2, 7), *a) for a in ((1, 3, 1), (1, 3, 2), (-1, 7, 1), (0, 2, 1), (1, 8, 1))),
    call("unfold", f64(2, 7, 3), 1, 2, 3),
    *(call("as_strided", _M, *a) for a in (((2, 2), (1, 2)), ((2, 2), (4, 1), 3), ((3,), (5,)), ((2, 9), (4, 1)))),
    call("as_strided_scatter", _M, f64(2, 2), (2, 2), (1, 2), 1),
    *(call("diagonal", _X, *a) for a in ((), (1,), (-1, 1, 2), (0, -1, 0), (0, 1, 1))),
    call("diagonal", _M, offset=2, dim1=1, dim2=0),
    *(call("diag", x, *a) for x in (_M, f64(3)) for a in ((), (1,), (-2,))),
    call("diag", _X),
    *(call("diagflat", f64(2, 2), *a) for a in ((), (1,))),
    *(call("diag_embed", f64(2, 3), *a) for a in ((), (1,), (-1,), (0, 0, 2), (1, 0, 1))),
    *(call(n, x, *a) for n in ("tril", "triu", "tril_", "triu_") for x in (_M, _X) for a in ((), (1,), (-1,))),
    call("tril", f64(3)),
    *(call("roll", _X, *a) for a in ((1,), (1, 0), ((1, -2), (0, 2)), (-1, -1), ((1, 2), 0))),
    call("roll", _M, shifts=1, dims=1),
    *(call("flip", _X, *a) for a in ((0,), (0, 2), ((1, -1),), (0, 0), (3,))),
    call("flip", _X, dims=(0,)),
    call("fliplr", _M),
    call("flipud", _M),
    *(call("rot90", _M, *a) for a in ((), (2,), (-1,), (1, (1, 0)))),
    call("rot90", _X, 1, (0, 2)),
    *(call("select_scatter", _M, *a) for a in ((f64(4), 0, 1), (f64(3), 1, -1), (f64(3), 0, 0))),
    *(
        call("slice_scatter", _M, *a, **k)
        for a, k in (
            ((f64(2, 4),), {"start": 1}),
            ((f64(3, 2), 1, 0, 4, 2), {}),
            ((f64(3, 2), 1, -2), {}),
            ((f64(3, 3), 1, -2), {}),
        )
    ),
    *(call("diagonal_scatter", _M, *a) for a in ((f64(3),), (f64(3), 1), (f64(2), -1), (f64(2),))),
    *(call("fill_diagonal_", x, 5.0, *a) for x in (_M, f64(7, 3), f64(3, 3, 3), f64(2, 3, 4)) for a in ((), (True,))),
    *(call("resize_", _M, *a) for a in ((2, 2), ((4, 3),), (1,))),
    call("resize_as_", _M, f64(2, 3)),
    call("contiguous", _X),
    call("clone", _X),
    call("detach", _X),
]

_I = np.array([[0, 2, 1, 1], [2, 0, 0, 1]])
_P = np.array([2, 0])

CALLS += [
    *(
        call("gather", _M, d, i)
        for d, i in (
            (0, _I),
            (1, _I),
            (0, _I[:, :2]),
            (-1, _I[:1]),
            (0, _I + 1),
            (0, -_I),
            (0, np.zeros((4, 5), int)),
            (0, np.zeros((0, 4), int)),
            (0, np.zeros(2, int)),
        )
    ),
    call("gather", f64(), 0, np.array(0)),
    call("gather", _M, 1, _I, sparse_grad=True),
    *(call("take", _M, i) for i in (_I, np.array(11), np.array([-1, -12]), np.array([12]), np.array([-13]))),
    *(
        call("take_along_dim", _M, *a)
        for a in ((_I[:, :1], 1), (_I[:1], 0), (_I,), (np.array([[0, 1]]).T, 0), (np.array([0]), 0))
    ),
    *(
        call("index_select", _M, d, i)
        for d, i in (
            (0, _P),
            (1, np.array([3, 3, 0])),
            (-1, np.array(1)),
            (0, np.array([3])),
            (0, np.array([-1])),
            (0, np.zeros(0, int)),
            (0, _I),
            (2, _P),
        )
    ),
    call("index_select", f64(), 0, np.array([0])),
    *(call("masked_select", _M, m) for m in (mask(3, 4), mask(4), mask(2, 3, 4), i64(3, 4))),
    *(
        call(n, _M, *a)
        for n in ("index_put", "index_put_")
        for a in (
            ((_P,), f64(4)),
            ((_P, np.array([1, 3])), f64(2)),
            ((mask(3, 4),), np.array(1.0)),
            ((_P,), np.zeros(3)),
            ((_P, np.array([1, 9])), f64(2)),
            ((np.array([0, 0]),), np.ones((2, 4)), True),
        )
    ),
    *(
        call(n, _M, *a)
        for n in ("put", "put_")
        for a in (
            (np.array([0, 5, -1]), f64(3)),
            (np.array([1, 1]), np.ones(2), True),
            (np.array([12]), f64(1)),
            (np.array([1]), f64(2)),
        )
    ),
    *(
        call(n, _M, d, i, s)
        for n in ("scatter", "scatter_")
        for d, i, s in (
            (0, _I, f64(2, 4)),
            (1, _I, f64(2, 4)),
            (0, _I[:, :2], f64(3, 4)),
            (0, _I, 2.5),
            (0, _I, f64(1, 4)),
            (0, _I + 1, f64(2, 4)),
            (0, np.zeros((1, 5), int), f64(3, 5)),
            (0, np.zeros((0, 4), int), f64(2, 4)),
        )
    ),
    *(call(n, _M, 0, _I, f64(2, 4), reduce=r) for n in ("scatter", "scatter_") for r in ("add", "multiply")),
    *(call(n, _M, 1, _I, value=1.5) for n in ("scatter", "scatter_")),
    *(call(n, _M, 1, _I, 2.0, reduce="add") for n in ("scatter", "scatter_")),
    *(call(n, _M, 0, _I[:, :3], f64(2, 4)) for n in ("scatter_add", "scatter_add_")),
    call("scatter_add", _M, 0, _I, f64(2, 4).astype(np.float32)),
    call("scatter", f64(), 0, np.array(0), np.array(2.0)),
    *(
        call(n, _M, 0, _I, f64(2, 4), r, include_self=s)
        for n in ("scatter_reduce", "scatter_reduce_")
        for r in ("sum", "prod", "mean", "amax", "amin")
        for s in (True, False)
    ),
    *(call("scatter_reduce", i64(3, 4), 1, _I, i64(2, 4), r) for r in ("sum", "prod", "amax")),
    call("scatter_reduce", _M, 0, _I, f64(2, 4), "median"),
    *(
        call(n, _M, *a)
        for n in ("index_add", "index_add_", "index_copy", "index_copy_")
        for a in (
            (0, _P, f64(2, 4)),
            (1, np.array([3]), f64(3, 1)),
            (-1, np.array([1, 2]), f64(3, 2)),
            (0, np.array([3]), f64(1, 4)),
            (0, _P, f64(3, 4)),
            (0, _P, f64(2, 4).astype(np.float32)),
        )
    ),
    *(call(n, _M, 0, np.array([1, 1]), f64(2, 4), alpha=2) for n in ("index_add", "index_add_")),
    call("index_add", f64(), 0, np.array(0), np.array(2.0)),
    *(
        call(n, _M, 0, np.array([1, 1, 0]), f64(3, 4), r, include_self=s)
        for n in ("index_reduce", "index_reduce_")
        for r in ("prod", "mean", "amax", "amin")
        for s in (True, False)
    ),
    *(
        call(n, _M, *a)
        for n in ("index_fill", "index_fill_")
        for a in ((0, _P, 1.5), (1, np.array([-1]), np.array(2.0)), (0, np.array([3]), 0.0), (0, _P, f64(2)))
    ),
    call("index_fill", i64(3), 0, _P, 2),
    *(
        call(n, _M, *a)
        for n in ("masked_fill", "masked_fill_")
        for a in (
            (mask(3, 4), 1.5),
            (mask(4), np.array(2.0)),
            (mask(3, 1), -float("inf")),
            (mask(5), 0),
            (i64(3, 4), 0),
            (mask(3, 4), f64(1)),
        )
    ),
    *(call(n, i64(4), mask(4), v) for n in ("masked_fill", "masked_fill_") for v in (2, 1.5, 1j)),
    call("masked_fill", f64(4), mask(3, 4), 0),
    call("masked_fill_", f64(4), mask(3, 4), 0),
    call("masked_fill", f64(3).astype(np.float32), mask(3), np.array(2.0)),
    *(
        call(n, _M, *a)
        for n in ("masked_scatter", "masked_scatter_")
        for a in (
            (mask(3, 4), f64(20)),
            (mask(4), f64(3, 4)),
            (np.ones((3, 4), bool), f64(3)),
            (mask(3, 4), f64(20).astype(np.float32)),
        )
    ),
]
