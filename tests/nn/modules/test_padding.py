"""Padding layers against torch."""

from tests.nn.modules.cases import IMAGE, LINE, VOLUME, LayerTests


class TestPadding(LayerTests):
    CASES = [
        ("CircularPad2d", ((1, 2, 0, 3),), {}, IMAGE),
        ("ConstantPad1d", (2, 3.5), {}, LINE),
        ("ReflectionPad2d", (2,), {}, IMAGE),
        ("ReplicationPad3d", (1,), {}, VOLUME),
        ("ZeroPad2d", ((-1, 1, 2, 0),), {}, IMAGE),
    ]
    MORE = [
        ("CircularPad1d", (2,), {}, LINE),
        ("CircularPad3d", ((1, 0, 2, 1, 1, 1),), {}, VOLUME),
        ("ConstantPad2d", ((1, -1, 0, 2), -1.5), {}, IMAGE),
        ("ConstantPad3d", (1, 2), {}, VOLUME),
        ("ReflectionPad1d", ((3, 1),), {}, LINE[1:]),
        ("ReflectionPad3d", (1,), {}, VOLUME),
        ("ReplicationPad1d", ((0, 2),), {}, LINE),
        ("ReplicationPad2d", (2,), {}, IMAGE[1:]),
        ("ZeroPad1d", ((1, 3),), {}, LINE),
        ("ZeroPad3d", (1,), {}, VOLUME),
    ]
