"""Models of ``transformers`` with small random weights, and the files that hold them."""

import numpy as np
import pytest

import fnn

REASON = "transformers, the other implementation, is not installed"


def transformers():
    """The package; the test is skipped where it or torch is missing."""
    pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")
    return pytest.importorskip("transformers", reason=REASON)


def randomized(model, seed=0):
    """The torch model in evaluation mode, with weights large enough that every part of it shows in the outputs."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            middle = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
            parameter.copy_(middle + 0.25 * torch.randn(parameter.shape, generator=draw))
    return model.eval()


def saved(model, folder, kind):
    """The path of a file with the weights: as published, by ``save_pretrained``, or the state dict of the object in memory."""
    import torch

    if kind == "published":
        model.save_pretrained(folder)
        return folder / "model.safetensors"
    torch.save(model.state_dict(), folder / "model.pt")
    return folder / "model.pt"


def loaded(model, path):
    """``model`` with the weights of a file, all of which must fit."""
    assert str(model.load_state_dict(fnn.load(path))) == "<All keys matched successfully>"
    return model.eval()


def outputs_of(layers, call):
    """What each of the layers returned while ``call`` ran."""
    seen = []
    handles = [layer.register_forward_hook(lambda module, args, out: seen.append(np.asarray(out))) for layer in layers]
    call()
    for handle in handles:
        handle.remove()
    return seen


def generated(model, tokens, new, use_cache):
    """The likeliest tokens after each row, with the keys and values kept or computed again for each of them."""
    import torch

    tokens = torch.from_numpy(tokens)
    # Without a mask of its own it takes token 0 for padding.
    options = {"attention_mask": torch.ones_like(tokens), "pad_token_id": 0, "do_sample": False}
    written = model.generate(tokens, max_new_tokens=new, use_cache=use_cache, **options)
    return written[:, tokens.shape[1] :].numpy()


def shapes_of_the_original(kind):
    """Names and shapes of a class of transformers with its default sizes, which takes no memory."""
    import torch

    them = transformers()
    with torch.device("meta"):
        twin = getattr(them, kind)(getattr(them, kind).config_class())
    return {name: tuple(tensor.shape) for name, tensor in twin.state_dict().items()}
