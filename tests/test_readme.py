"""The README's Python runs as it stands."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp

README = Path(__file__).parents[1] / "README.md"


def test_the_blocks_run_in_order(capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    assert len(blocks) >= 4
    names = {}
    with jax.enable_x64(False):
        run(blocks, names)
    loss = float(capsys.readouterr().out.split()[0])
    assert loss < 0.05


def run(blocks, names):
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    params = {"w1": jnp.ones((4, 2)), "b1": jnp.ones(4), "w2": jnp.ones((3, 4)), "b2": jnp.ones(3)}
    _, _, value = names["step"](params, names["tx"].init(params), jnp.ones((5, 2)), jnp.zeros(5, int))
    assert float(value) > 0


def test_both_commands_are_there():
    text = README.read_text()
    assert '    pip install -e ".[examples]" && python examples/digits.py\n' in text
    assert '    pip install -e ".[test]" && pytest\n' in text
