"""Layers that join axes or split one against torch."""

from tests.nn.modules.cases import LayerTests


class TestFlatten(LayerTests):
    CASES = [
        ("Flatten", (), {}, (2, 3, 4)),
        ("Unflatten", (1, (2, 2)), {}, (3, 4)),
    ]
    MORE = [
        ("Flatten", (0, 1), {}, (2, 3, 4)),
        ("Flatten", (-2,), {}, (2, 3, 4)),
        ("Unflatten", (-1, [-1, 2]), {}, (3, 4)),
    ]
    BAD = [
        (TypeError, "Unflatten: unflattened_size must be .* got int", "Unflatten", (1, 3), {}),
        (TypeError, "Unflatten: unflattened_size .* got str at position 1", "Unflatten", (1, (3, "x")), {}),
    ]
