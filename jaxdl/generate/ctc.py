"""What a network says that tells each frame's token or a blank: the likeliest path, or labelling.

Graves et al., 2006, sections 3.2 (what a path says) and 4.2; prefix search with a beam is that of
Hannun et al., 2014, without a language model.
"""

import functools

import jax
import jax.numpy as jnp

from jaxdl import ops


def ctc_greedy(
    logits: jax.Array, frames: jax.Array | None = None, *, blank: int = 0
) -> tuple[jax.Array, jax.Array]:
    """What the likeliest path says: each frame's likeliest token, repeats and blanks left out.

    Args:
      logits: (batch, frames, tokens).
      frames: (batch,) how many frames of each example count; None: all.
      blank: its token.

    Returns:
      tokens (batch, frames) int32, filled up with the blank, and how many there are, (batch,).
    """
    path = ops.argmax(logits)
    path = jnp.where(_counts(logits, frames), path, blank)
    before = jnp.pad(path[:, :-1], ((0, 0), (1, 0)), constant_values=blank)
    said = (path != blank) & (path != before)
    # Those that are said move to the front, and keep their order.
    order = jnp.argsort(~said, axis=1, stable=True)
    lengths = said.sum(axis=1, dtype=jnp.int32)
    tokens = jnp.take_along_axis(path, order, axis=1)
    return jnp.where(jnp.arange(path.shape[1]) < lengths[:, None], tokens, blank), lengths


def ctc_beams(
    logits: jax.Array,
    frames: jax.Array | None = None,
    *,
    beams: int = 8,
    longest: int | None = None,
    blank: int = 0,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The likeliest labellings, each of all its paths, by a search over prefixes.

    Args:
      logits: (batch, frames, tokens).
      frames: (batch,) how many frames of each example count; None: all.
      beams: prefixes that are kept a frame; with as many as there are labellings it is exact.
      longest: tokens of a labelling at most; None: as many as there are frames.
      blank: its token.

    Returns:
      tokens (batch, beams, longest) int32, filled up with the blank, the likeliest labelling
      first; how many there are, (batch, beams); and their log-probabilities (batch, beams) in
      float32, -inf where there are not as many labellings.
    """
    longest = logits.shape[1] if longest is None else longest
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
    search = functools.partial(_search, beams=beams, longest=longest, blank=blank)
    return jax.vmap(search)(log_p, _counts(logits, frames))


def _counts(logits: jax.Array, frames: jax.Array | None) -> jax.Array:
    """(batch, frames) whether a frame counts."""
    places = jnp.arange(logits.shape[1])[None]
    return jnp.broadcast_to(True if frames is None else places < frames[:, None], logits.shape[:2])


# Shapes: K beams, V tokens, L places of a labelling.
def _search(
    log_p_TV: jax.Array, counts_T: jax.Array, *, beams: int, longest: int, blank: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    tokens_KL = jnp.full((beams, longest), blank, jnp.int32)
    length_K = jnp.zeros(beams, jnp.int32)
    # Log-probabilities of the paths that end in a blank, and of those that end in a token.
    blank_K = jnp.full(beams, -jnp.inf).at[0].set(0.0)
    begin = (tokens_KL, length_K, blank_K, jnp.full(beams, -jnp.inf))

    def frame(beam, given):
        log_p_V, counts = given
        moved = _extended(beam, log_p_V, blank)
        return jax.tree.map(lambda new, old: jnp.where(counts, new, old), moved, beam), None

    (tokens_KL, length_K, blank_K, token_K), _ = jax.lax.scan(frame, begin, (log_p_TV, counts_T))
    score_K, order = jax.lax.top_k(jnp.logaddexp(blank_K, token_K), beams)
    return tokens_KL[order], length_K[order], score_K


def _extended(beam: tuple[jax.Array, ...], log_p_V: jax.Array, blank: int) -> tuple[jax.Array, ...]:
    """The beam behind one more frame."""
    tokens_KL, length_K, blank_K, token_K = beam
    (beams, longest), size = tokens_KL.shape, len(log_p_V)
    rows = jnp.arange(beams)
    last_K = tokens_KL[rows, jnp.maximum(length_K - 1, 0)]  # a blank where there is none
    either_K = jnp.logaddexp(blank_K, token_K)

    stays_blank_K = either_K + log_p_V[blank]
    stays_token_K = jnp.where(length_K > 0, token_K + log_p_V[last_K], -jnp.inf)
    # A token that equals the last one is a new one only behind a blank.
    is_last_KV = jnp.arange(size)[None] == last_K[:, None]
    grown_KV = jnp.where(is_last_KV, blank_K[:, None], either_K[:, None]) + log_p_V[None]
    room_KV = (length_K < longest)[:, None] & (jnp.arange(size) != blank)[None]
    grown_KV = jnp.where(room_KV, grown_KV, -jnp.inf)

    # A prefix that grows into another of the beam is that one: their paths are added.
    parent_KL = tokens_KL.at[rows, jnp.maximum(length_K - 1, 0)].set(blank)
    is_parent_KK = (
        (parent_KL[:, None] == tokens_KL[None]).all(-1)
        & (length_K[:, None] == length_K[None] + 1)
        & jnp.isfinite(either_K)[:, None]
    )
    from_KK = jnp.where(is_parent_KK, grown_KV[:, last_K].T, -jnp.inf)
    stays_token_K = jnp.logaddexp(stays_token_K, jax.nn.logsumexp(from_KK, axis=1))
    taken_KV = jnp.zeros((beams, size), bool)
    taken_KV = taken_KV.at[:, last_K].max(is_parent_KK.T)
    grown_KV = jnp.where(taken_KV, -jnp.inf, grown_KV)

    scores = jnp.concatenate([jnp.logaddexp(stays_blank_K, stays_token_K), grown_KV.ravel()])
    _, best_K = jax.lax.top_k(scores, beams)
    grows_K = best_K >= beams
    from_K = jnp.where(grows_K, (best_K - beams) // size, best_K)
    new_K = (best_K - beams) % size
    at_K = jnp.minimum(length_K[from_K], longest - 1)
    old_K = tokens_KL[from_K, at_K]
    return (
        tokens_KL[from_K].at[rows, at_K].set(jnp.where(grows_K, new_K, old_K)),
        length_K[from_K] + grows_K,
        jnp.where(grows_K, -jnp.inf, stays_blank_K[from_K]),
        jnp.where(grows_K, grown_KV.ravel()[jnp.maximum(best_K - beams, 0)], stays_token_K[from_K]),
    )
