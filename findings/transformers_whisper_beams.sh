#!/usr/bin/env bash
# transformers 5.24.0: Whisper's generate writes a long recording's windows by beams, until one of
# them is tried again at a temperature above 0; all later windows are greedy at temperature 0.
# Expected: beams at temperature 0 in every window, as openai-whisper has them.
# Seen: the first window is tried by 2 beams and then drawn, the later ones by 1 beam and then drawn:
# the tries share one generation config, in which a drawn one sets num_beams=1 for good.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0
"$folder/env/bin/python" - <<'PY'
import torch
from transformers import (
    GenerationConfig,
    GenerationMixin,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

torch.manual_seed(0)
end, start, no_times = 20, 21, 22
tokens = dict(
    bos_token_id=end, eos_token_id=end, pad_token_id=end, decoder_start_token_id=start,
    begin_suppress_tokens=None, suppress_tokens=None,
)  # fmt: skip
config = WhisperConfig(
    vocab_size=54, num_mel_bins=4, d_model=8, encoder_layers=1, decoder_layers=1,
    encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=8, decoder_ffn_dim=8,
    max_source_positions=30, max_target_positions=12, **tokens,
)  # fmt: skip
model = WhisperForConditionalGeneration(config).eval()
model.generation_config = GenerationConfig(
    **tokens, max_length=12, no_timestamps_token_id=no_times, is_multilingual=False
)
tries, generate = [], GenerationMixin.generate


def told(self, *args, generation_config, **kwargs):
    tries.append((generation_config.num_beams, generation_config.do_sample))
    return generate(self, *args, generation_config=generation_config, **kwargs)


GenerationMixin.generate = told
# Nothing is likely enough: each window is tried twice.
model.generate(
    torch.randn(1, 4, 170), return_timestamps=True, num_beams=2, temperature=(0.0, 0.5),
    logprob_threshold=0.0,
)  # fmt: skip
print(tries)
first, others = tries[:2], tries[2:]
assert first == [(2, False), (1, True)], "this has changed"
assert others == [(1, False), (1, True)] * (len(others) // 2) and others, "this has changed"
PY
