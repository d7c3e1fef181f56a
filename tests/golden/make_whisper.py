"""What transformers' Whisper computes and writes, for tests/test_whisper.py.

    pip install torch==2.13.0 transformers
    python tests/golden/make_whisper.py

Small models whose weights are drawn by tensors' names (seeded.py), computed in float64 on drawn
spectrograms. whisper.npz keeps config.json and the shapes of the tensors in the saved file, logits,
what the encoder gave, and of a loss's gradients their length and two products with drawn
directions; the tokens that generate writes with its settings, by one call; and the segments of
long recordings. A case is kept if weights that are off by 1e-5 give the same tokens.
"""

import json
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
import seeded
import torch
import transformers as theirs
from safetensors import safe_open

HERE = Path(__file__).parent
BATCH, BANDS, STATES, CONTEXT = 3, 10, 30, 40
# The special tokens, in the order of the published vocabularies, behind 400 of texts.
END, START, EN, DE, FR, TRANSLATE, TRANSCRIBE, _, PREVIOUS, NO_SPEECH, NO_TIMES = range(400, 411)
VOCABULARY = NO_TIMES + 1 + STATES + 1
LONG = 170  # frames: three windows, were they to follow one another

SPEECH = dict(
    is_multilingual=True,
    lang_to_id={"<|en|>": EN, "<|de|>": DE, "<|fr|>": FR},
    task_to_id={"translate": TRANSLATE, "transcribe": TRANSCRIBE},
    no_timestamps_token_id=NO_TIMES,
    prev_sot_token_id=PREVIOUS,
    max_initial_timestamp_index=12,
    return_timestamps=False,
)
TOKENS = dict(
    bos_token_id=END, eos_token_id=END, pad_token_id=END, decoder_start_token_id=START,
    begin_suppress_tokens=None, suppress_tokens=None,
)  # fmt: skip
SUPPRESSED = dict(
    suppress_tokens=[*range(3, 200, 7), *range(START, NO_TIMES)],
    begin_suppress_tokens=[11, 12, END],
)  # fmt: skip

# {case: (what the generation config says besides, what generate is given)}
CALLS = {
    "bare": ("bare", {}),
    "detected": ({}, {}),
    "language": ({}, dict(language="de")),
    "translate": ({}, dict(language="fr", task="translate")),
    "task": ({}, dict(task="translate")),
    "suppressed": (SUPPRESSED, dict(language="en")),
    "times": ({}, dict(language="en", return_timestamps=True)),
    "times_detected": (SUPPRESSED, dict(return_timestamps=True)),
    "times_anywhere": (
        dict(SUPPRESSED, max_initial_timestamp_index=None),
        dict(language="en", return_timestamps=True),
    ),
    "beams_3": (SUPPRESSED, dict(language="de", num_beams=3)),
    "beams_4_times": (SUPPRESSED, dict(language="de", return_timestamps=True, num_beams=4)),
}
# What is told beforehand, as a processor's get_prompt_ids has it.
PROMPT = [PREVIOUS, 21, 22, 23, 24]
# {case: likewise, of a long recording}
RECORDINGS = {
    "plain": ({}, dict(language="en")),
    "suppressed": (SUPPRESSED, dict(language="de", task="translate")),
    "detected": (SUPPRESSED, {}),
    "silence": (
        SUPPRESSED,
        dict(language="en", temperature=(0.0,), logprob_threshold=-1.95,
             compression_ratio_threshold=1.0, no_speech_threshold=0.00026),
    ),
    # Each try's mean log p is asked for by a limit that nothing falls below.
    "beams": (
        SUPPRESSED, dict(language="de", num_beams=3, temperature=(0.0,), logprob_threshold=-99.0),
    ),
    "beams_silence": (
        SUPPRESSED,
        dict(language="en", num_beams=4, temperature=(0.0,), logprob_threshold=-1.95,
             compression_ratio_threshold=1.0, no_speech_threshold=0.00026),
    ),
    "previous": (SUPPRESSED, dict(language="en", condition_on_prev_tokens=True)),
    "previous_beams": (
        SUPPRESSED, dict(language="de", num_beams=3, condition_on_prev_tokens=True),
    ),
    "previous_silence": (
        SUPPRESSED,
        dict(language="en", temperature=(0.0,), logprob_threshold=-1.95,
             compression_ratio_threshold=1.0, no_speech_threshold=0.00026,
             condition_on_prev_tokens=True),
    ),
    "prompted": (SUPPRESSED, dict(language="fr", prompt_ids=PROMPT)),
    "prompted_first": (
        SUPPRESSED, dict(language="fr", prompt_ids=PROMPT, condition_on_prev_tokens=True),
    ),
    "prompted_all": (
        SUPPRESSED,
        dict(language="fr", prompt_ids=PROMPT, condition_on_prev_tokens=True,
             prompt_condition_type="all-segments"),
    ),
}  # fmt: skip


def config_of(**others):
    """Of a small model."""
    return theirs.WhisperConfig(
        vocab_size=VOCABULARY, num_mel_bins=BANDS, d_model=24, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=3, decoder_attention_heads=3, encoder_ffn_dim=40,
        decoder_ffn_dim=40, max_source_positions=STATES, max_target_positions=CONTEXT,
        attn_implementation="eager", **dict(TOKENS, **others),
    )  # fmt: skip


def spectrogram(frames, name):
    """(batch, frames, bands), some of it loud and some not, as ours has it."""
    drawn = seeded.normal(name, (BATCH, frames, BANDS))
    return (drawn * np.exp(np.sin(np.arange(frames) / 17))[:, None]).astype(np.float32)


def theirs_of(x):
    """The same as theirs has it."""
    return torch.from_numpy(x.transpose(0, 2, 1)).double()


def model_of():
    """(config.json, shapes of tensors, a function from an error of the weights to the model)."""
    model = theirs.WhisperForConditionalGeneration(config_of())
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.loads((Path(folder) / "config.json").read_text())
        with safe_open(Path(folder) / "model.safetensors", "np") as file:
            tensors = {n: file.get_slice(n).get_shape() for n in file.keys()}  # noqa: SIM118

    def drawn(off=0.0):
        made = theirs.WhisperForConditionalGeneration(config_of()).double().eval()
        state = {n: torch.from_numpy(seeded.weight(n, s)).double() for n, s in tensors.items()}
        torch.manual_seed(0)
        state = {n: x * (1 + off * torch.randn(x.shape).double()) for n, x in state.items()}
        made.load_state_dict(state, strict=False)
        made.tie_weights()
        return made

    return config, tensors, drawn


def settings_of(said):
    """The generation config, and what of it is kept."""
    kept = dict(TOKENS, max_length=CONTEXT)
    kept |= {} if said == "bare" else dict(SPEECH, **said)
    return theirs.GenerationConfig(**kept), {k: v for k, v in kept.items() if v is not None}


def written(model, x, said, given):
    """Tokens with the prompt, (batch, tokens)."""
    model.generation_config, kept = settings_of(said)
    with torch.no_grad():
        found = model.generate(
            theirs_of(x), force_unique_generate_call=True, do_sample=False, **given
        )
    return found.numpy(), kept


def heard(model, x, said, given):
    """Segments of one recording (1, frames, bands): [(start, end, [tokens], mean log p), …].

    The last is of a segment's window, as the fallback takes it; None where nothing asks for it.
    """
    model.generation_config, kept = settings_of(said)
    given = dict(condition_on_prev_tokens=False) | given
    if "prompt_ids" in given:
        given["prompt_ids"] = torch.tensor(given["prompt_ids"])
    with torch.no_grad():
        found = model.generate(
            theirs_of(x), return_timestamps=True, return_segments=True, do_sample=False, **given
        )
    segments, prompts = found["segments"][0], {}
    for s in segments:
        prompts.setdefault(id(s["result"]), s["idxs"][0])
    rows = [
        (float(s["start"]), float(s["end"]), s["tokens"].tolist(),
         mean_log_p(model, s["result"], prompts[id(s["result"])]))
        for s in segments
    ]  # fmt: skip
    return rows, kept


def mean_log_p(model, result, prompt):
    """Of a window's tokens, the one that ends it among them, behind so many of its prompt."""
    if not isinstance(result, dict):
        return None
    tokens = result["sequences"][prompt:]
    ended = (tokens == END).nonzero()
    tokens = tokens[: int(ended[0]) + 1] if len(ended) else tokens
    return float(model._retrieve_avg_logprobs(result["scores"], tokens, 0.0))


def same_segments(a, b):
    """Whether all but log p is the same."""
    return [row[:3] for row in a] == [row[:3] for row in b]


# What OpenAI calls the parts of names that transformers renamed, longest first.
RENAMED = {
    "model.": "", "layers": "blocks", "fc1": "mlp.0", "fc2": "mlp.2", "final_layer_norm": "mlp_ln",
    "self_attn_layer_norm": "attn_ln", "encoder_attn_layer_norm": "cross_attn_ln",
    "self_attn": "attn", "encoder_attn": "cross_attn", "q_proj": "query", "k_proj": "key",
    "v_proj": "value", "out_proj": "out", "encoder.layer_norm": "encoder.ln_post",
    "decoder.layer_norm": "decoder.ln", "embed_tokens": "token_embedding",
    "embed_positions.weight": "positional_embedding",
}  # fmt: skip


def openai():
    """A file as OpenAI publishes them, in half precision."""
    config = theirs.WhisperConfig(
        vocab_size=16, num_mel_bins=4, d_model=8, encoder_layers=1, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_ffn_dim=32, max_source_positions=6, max_target_positions=6,
        **{k: 1 for k, x in TOKENS.items() if x is not None},
    )  # fmt: skip
    state = {}
    for name, x in theirs.WhisperForConditionalGeneration(config).state_dict().items():
        if name == "proj_out.weight":
            continue
        drawn = torch.from_numpy(seeded.weight(name, tuple(x.shape))).half()
        for before, after in RENAMED.items():
            name = name.replace(before, after)
        state[name] = drawn
    dims = dict(
        n_mels=4, n_audio_ctx=6, n_audio_state=8, n_audio_head=2, n_audio_layer=1, n_vocab=16,
        n_text_ctx=6, n_text_state=8, n_text_head=2, n_text_layer=2,
    )  # fmt: skip
    path = HERE / "torch_files" / "whisper_openai.pt"
    torch.save({"dims": dims, "model_state_dict": state}, path)
    print(path.name, path.stat().st_size, *state)


def main():
    """Writes whisper.npz and torch_files/whisper_openai.pt."""
    openai()
    config, tensors, drawn = model_of()
    model, near = drawn(), drawn(1e-5)
    x = spectrogram(2 * STATES, "short")
    target = (np.abs(seeded.normal("target", (BATCH, 7))) * 1e6).astype(np.int64) % VOCABULARY
    found = model(input_features=theirs_of(x), decoder_input_ids=torch.from_numpy(target))
    # A fine-tuning run's: what is asked for, words, the end, and what does not count.
    labels = np.full((BATCH, 9), -100)
    for i, row in enumerate(labels):
        words = np.abs(target[i, : 5 - i]) % END
        row[: 9 - i] = [DE, TRANSCRIBE, NO_TIMES, *words, END]
    with torch.no_grad():
        loss = model(input_features=theirs_of(x), labels=torch.from_numpy(labels)).loss.item()
    weights = torch.from_numpy(seeded.normal("loss", found.logits.shape))
    (found.logits * weights).sum().backward()
    arrays = dict(
        logits=found.logits.detach().numpy().astype(np.float32),
        encoded=found.encoder_last_hidden_state.detach().numpy().astype(np.float32),
    )
    for name, p in model.named_parameters():
        if name in tensors and p.grad is not None:
            arrays[f"gradient/{name}"] = seeded.summary(name, p.grad.numpy())

    calls, recordings = {}, {}
    for case, (said, given) in CALLS.items():
        made, kept = written(model, x, said, given)
        same = np.array_equal(made, written(near, x, said, given)[0])
        print(case, made.shape, "" if same else "LEFT OUT: a tie")
        print(made)
        if same:
            calls[case] = dict(settings=kept, given=given, texts=made.tolist())
    long = spectrogram(LONG, "long")
    for case, (said, given) in RECORDINGS.items():
        for row in range(2):
            rows, kept = heard(model, long[row : row + 1], said, given)
            same = same_segments(rows, heard(near, long[row : row + 1], said, given)[0])
            print(case, row, len(rows), "segments", "" if same else "LEFT OUT: a tie")
            print(*[(f"{a:.2f}", f"{b:.2f}", len(t), p) for a, b, t, p in rows])
            if same:
                recordings[f"{case}_{row}"] = dict(
                    settings=kept, given=given, segments=rows, row=row
                )
    about = dict(
        config=config, tensors=tensors, target=target.tolist(), calls=calls, recordings=recordings,
        labels=labels.tolist(), loss=loss,
        made_with=f"torch {torch.__version__}, transformers {theirs.__version__}",
    )  # fmt: skip
    path = HERE / "whisper.npz"
    np.savez_compressed(path, about=np.array(json.dumps(about)), **arrays)
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    main()
