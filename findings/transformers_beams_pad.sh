#!/usr/bin/env bash
# transformers 5.24.0: what follows a text that has ended is pad_token_id where texts are greedy, and
# the token that ended it where they come from beam search and pad_token_id is 0, as T5's is.
# Expected: pad_token_id both times, whatever its value.
# Seen: 0 behind the 1 that ends a greedy text, 1 behind that of beam search; with pad_token_id=2 it
# is 2 both times.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0
"$folder/env/bin/python" - <<'PY'
import torch
from transformers import T5Config, T5ForConditionalGeneration

torch.manual_seed(0)
sizes = dict(vocab_size=8, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
model = T5ForConditionalGeneration(T5Config(**sizes, decoder_start_token_id=0)).eval()
sources = torch.tensor([[3], [4]])


class EndsTheFirst:
    """The first half of the rows can say nothing but 1, the others nothing but 5."""

    def __call__(self, input_ids, scores):
        said = torch.full_like(scores, -1e4)
        half = len(scores) // 2
        said[:half, 1] = 0
        said[half:, 5] = 0
        return said


def behind_the_end(beams, pad):
    texts = model.generate(
        sources, num_beams=beams, pad_token_id=pad, eos_token_id=1, max_new_tokens=4,
        logits_processor=[EndsTheFirst()],
    )  # fmt: skip
    return texts[0, 2:].tolist()


found = {(beams, pad): behind_the_end(beams, pad) for beams in (1, 2) for pad in (0, 2)}
print(found)
assert found == {
    (1, 0): [0, 0, 0], (1, 2): [2, 2, 2], (2, 0): [1, 1, 1], (2, 2): [2, 2, 2]
}, "this has changed"
PY
