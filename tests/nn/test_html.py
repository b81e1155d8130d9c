"""What notebooks show of Modules and Parameters is well-formed, escaped and small."""

from html.parser import HTMLParser

import jax
import jax.numpy as jnp

from fnn import nn


class Balance(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.stack, self.text = [], ""
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_modules():
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.BatchNorm1d(4), nn.LazyLinear(2)), nn.ReLU()).eval()
    html = model._repr_html_()
    text = Balance(html).text
    assert "(0): Linear(in_features=3, out_features=4, bias=True) 16 parameters" in text
    assert "Sequential 24 parameters eval" in text
    assert html.count("<details open>") == 1


def test_names_and_options_are_escaped():
    class Odd(nn.Module):
        def extra_repr(self):
            return "<script>alert(1)</script>"

    model = nn.Module()
    model.add_module("<b>", Odd())
    html = model._repr_html_()
    assert "<script>" not in html
    assert "(<b>)" not in html
    Balance(html)


def test_many_modules_are_cut_short():
    html = nn.ModuleList([nn.ReLU() for _ in range(3000)])._repr_html_()
    assert len(html) < 100_000
    assert "and 2501 more" in Balance(html).text


def test_parameters_and_buffers():
    p = nn.Parameter(jnp.zeros((2, 3), jnp.float32))
    text = Balance(p._repr_html_()).text
    assert text.startswith("Parameter float32[2, 3], requires_grad")
    assert "0." in text
    assert Balance(nn.Buffer(jnp.ones(2, jnp.int32))._repr_html_()).text.startswith("Buffer int32[2]")
    assert "UninitializedParameter" in Balance(nn.UninitializedParameter()._repr_html_()).text
    large = nn.Parameter(jnp.zeros((1000, 1000), jnp.float32))
    assert len(large._repr_html_()) < 2000
    jax.jit(lambda box: Balance(box._repr_html_()) and 0)(p)
