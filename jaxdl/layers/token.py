"""What stands for a token."""

import jax
from flax import linen as nn

from jaxdl import ops
from jaxdl.parallel import TensorRule

# By tokens: where the table is the output layer too, each device has some tokens' logits. GPT-2's
# has 50,257 rows, which nothing divides.
TENSOR_RULES = (TensorRule(r"(^|/)token/embedding$", 0, if_even=True),)


class TokenEmbedding(nn.Embed):
    """A table of vectors: (…) integers to (…, features), as of `flax.linen.Embed`.

    Parameter: ``embedding`` (num_embeddings, features). A model calls it "token".
    """


def tied_logits(x: jax.Array, table: jax.Array) -> jax.Array:
    """Logits by the table of tokens itself (Press and Wolf, 2016, "Using the Output Embedding").

    Args:
      x: (…, features), in the dtype of the computation.
      table: (tokens, features).

    Returns:
      (…, tokens), as wide as `jaxdl.ops.by_table` makes them.
    """
    return ops.by_table(x, table.astype(x.dtype))
