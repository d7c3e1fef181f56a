"""The GPT that both sides take: 11 M parameters, bytes and a token that ends a text."""

from pathlib import Path
from typing import Any

END, CONTEXT = 256, 256


def ours(folder: Path) -> tuple[Any, Any]:
    """The module and weights, which are written to ``folder`` as transformers reads them."""
    import jax
    import jax.numpy as jnp

    from jaxdl import keys, models, pretrained

    module = models.create("gpt", vocab_size=END + 1, context=CONTEXT, width=384, depth=6, heads=6)
    variables = jax.jit(module.init)(keys.root(0), jnp.zeros((1, 1), jnp.int32))
    pretrained.save(module, jax.device_get(variables), folder)
    return module, variables


def tokenizer() -> Any:
    """One of as many tokens, which a trainer of trl's asks for; nothing is read by it here."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    known = {f"<{i}>": i for i in range(END)} | {"<end>": END}
    made = Tokenizer(WordLevel(known, unk_token="<0>"))
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<end>", pad_token="<end>")
