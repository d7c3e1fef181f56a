"""What stands for a token."""

from flax import linen as nn

from jaxdl.parallel import TensorRule

# By tokens: where the table is the output layer too, each device has some tokens' logits. GPT-2's
# has 50,257 rows, which nothing divides.
TENSOR_RULES = (TensorRule(r"(^|/)token/embedding$", 0, if_even=True),)


class TokenEmbedding(nn.Embed):
    """A table of vectors: (…) integers to (…, features), as of `flax.linen.Embed`.

    Parameter: ``embedding`` (num_embeddings, features). A model calls it "token".
    """
