"""What transformers' BERT, T5 and BART compute, for tests/test_language_models.py.

    pip install torch==2.13.0 transformers
    python tests/golden/make_language.py [case …]

Small models whose weights are drawn by tensors' names (seeded.py), computed in float64 on batches
with padding in front and behind; language/CASE.npz keeps config.json, the names and shapes of the
tensors in the saved file, what came out, and of a loss's gradients their length and two products
with drawn directions. Of T5 and BART a greedy continuation too.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers as theirs
from safetensors import safe_open

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import seeded  # noqa: E402

VOCABULARY, WIDTH, HEADS = 61, 24, 3
# Rows padded behind, not at all, in front.
SOURCE_MASK = np.array([[1] * 7 + [0] * 2, [1] * 9, [0] * 3 + [1] * 6])
TARGET_MASK = np.array([[1] * 6, [1] * 4 + [0] * 2, [1] * 5 + [0]])
NEW = 10


class ExactNorm(theirs.models.t5.modeling_t5.T5LayerNorm):
    """Theirs takes the mean square in float32 whatever it is given."""

    def forward(self, x):
        """(…, features) in and out."""
        return (
            self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        )


theirs.models.t5.modeling_t5.T5LayerNorm = ExactNorm


def bert(name, **others):
    """One of the classes on BERT's encoder."""
    config = theirs.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        intermediate_size=40,
        max_position_embeddings=16,
        attn_implementation="eager",
        **others,
    )
    return getattr(theirs, name)(config)


def t5(name="T5ForConditionalGeneration", layers=2, **others):
    """One of the classes on T5's encoder, with heads that are not width / heads wide."""
    config = theirs.T5Config(
        vocab_size=VOCABULARY,
        d_model=WIDTH,
        d_kv=6,
        d_ff=40,
        num_layers=layers,
        num_decoder_layers=2,
        num_heads=HEADS,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=6,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        attn_implementation="eager",
        **others,
    )
    return getattr(theirs, name)(config)


def t5_untied():
    """With an output layer of its own, as version 1.1's files have it."""
    model = t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    model.lm_head.weight = torch.nn.Parameter(torch.zeros(VOCABULARY, WIDTH))
    return model


def bart(name="BartForConditionalGeneration"):
    """One of the classes on BART."""
    config = theirs.BartConfig(
        vocab_size=VOCABULARY,
        d_model=WIDTH,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=40,
        decoder_ffn_dim=40,
        max_position_embeddings=16,
        forced_eos_token_id=None,
        attn_implementation="eager",
    )
    return getattr(theirs, name)(config)


CASES = {
    "bert_masked_lm": lambda: bert("BertForMaskedLM"),
    "bert_pretraining": lambda: bert("BertForPreTraining"),
    "bert_model": lambda: bert("BertModel", hidden_act="gelu_new", layer_norm_eps=1e-6),
    "bert_classifier": lambda: bert("BertForSequenceClassification", num_labels=4),
    "bert_tagger": lambda: bert("BertForTokenClassification", num_labels=5),
    "bert_span": lambda: bert("BertForQuestionAnswering"),
    "t5": t5,
    "t5_untied": t5_untied,
    "t5_encoder": lambda: t5("T5EncoderModel"),
    "bart": bart,
    "bart_model": lambda: bart("BartModel"),
}


def drawn(shape, name, least=3):
    """Tokens that are none of the special ones."""
    return least + (np.abs(seeded.normal(name, shape)) * 1e6).astype(np.int64) % (
        VOCABULARY - least
    )


def outputs(case, found):
    """{name: array} of what a model gave, the first of them what the loss is made of."""
    if case == "bert_span":
        logits = torch.stack([found.start_logits, found.end_logits], -1)
        return {"logits": logits}
    if case == "bert_model":
        return {"logits": found.pooler_output, "features": found.last_hidden_state}
    if case == "bert_pretraining":
        return {"logits": found.prediction_logits}
    if "logits" in found:
        kept = {"logits": found.logits}
        states = found.get("decoder_hidden_states") or found.get("hidden_states")
        if states is not None:
            kept["features"] = states[-1]
    else:
        kept = {"logits": found.last_hidden_state}
    if "encoder_last_hidden_state" in found:
        kept["encoded"] = found.encoder_last_hidden_state
    return kept


def weights_of_loss(logits, mask):
    """Drawn, and zero where there is padding."""
    weights = seeded.normal("loss", logits.shape)
    return weights * mask[..., None] if logits.ndim == 3 else weights


def compute(case):
    """All that is kept of a case."""
    model = CASES[case]()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.loads((Path(folder) / "config.json").read_text())
        with safe_open(Path(folder) / "model.safetensors", "np") as file:
            tensors = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    model = model.double().eval()
    state = model.state_dict()
    assert set(tensors) <= set(state)
    drawn_state = {n: torch.from_numpy(seeded.weight(n, s)).double() for n, s in tensors.items()}
    model.load_state_dict(drawn_state, strict=False)
    if hasattr(model, "tie_weights") and case != "t5_untied":
        model.tie_weights()
    for name, x in drawn_state.items():
        assert torch.equal(model.state_dict()[name], x), name

    source, mask = drawn(SOURCE_MASK.shape, "source"), SOURCE_MASK
    given = dict(input_ids=source, attention_mask=mask, output_hidden_states=True)
    loss_mask = mask
    if case.startswith("bert"):
        given["token_type_ids"] = (np.arange(source.shape[1]) > 4)[None].repeat(len(source), 0) + 0
    elif case != "t5_encoder":
        given["decoder_input_ids"] = drawn(TARGET_MASK.shape, "target")
        given["decoder_attention_mask"] = loss_mask = TARGET_MASK
    torched = {k: torch.from_numpy(v) if not isinstance(v, bool) else v for k, v in given.items()}
    kept = outputs(case, model(**torched))
    logits = kept["logits"]
    weights = torch.from_numpy(weights_of_loss(logits, loss_mask))
    (logits * weights).sum().backward()
    arrays = {name: x.detach().numpy().astype(np.float32) for name, x in kept.items()}
    for name, p in model.named_parameters():
        if name in tensors:
            gradient = np.zeros(p.shape) if p.grad is None else p.grad.numpy()
            arrays[f"gradient/{name}"] = seeded.summary(name, gradient)
    if case in ("t5", "t5_untied", "bart"):
        with torch.no_grad():
            found = model.generate(
                input_ids=torched["input_ids"], attention_mask=torched["attention_mask"],
                max_new_tokens=NEW, do_sample=False, num_beams=1, output_scores=True,
                return_dict_in_generate=True,
            )  # fmt: skip
        best = torch.stack(found.scores).topk(2).values
        assert (best[..., 0] - best[..., 1]).min() > 1e-4, "a tie that rounding could break"
        arrays["generated"] = found.sequences.numpy().astype(np.int32)
        print(found.sequences)
    about = dict(
        config=config,
        tensors=tensors,
        inputs={k: v.tolist() for k, v in given.items() if not isinstance(v, bool)},
        made_with=f"torch {torch.__version__}, transformers {theirs.__version__}",
    )
    return {"about": np.array(json.dumps(about)), **arrays}


def legacy():
    """A file as of 2018: pickled, norms of TensorFlow's names, copies, a table of position ids."""
    config = theirs.BertConfig(
        vocab_size=11, hidden_size=4, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=6, max_position_embeddings=5,
    )  # fmt: skip
    model = theirs.BertForPreTraining(config)
    state = {name: torch.from_numpy(seeded.weight(name, x.shape)) for name, x in
             model.state_dict().items() if "position_ids" not in name}  # fmt: skip
    state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
    state.pop("cls.predictions.decoder.bias", None)
    old = lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    )
    state = {old(name): x for name, x in state.items()}
    state["bert.embeddings.position_ids"] = torch.arange(5)[None]
    folder = HERE / "language" / "bert_2018"
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / "pytorch_model.bin")
    kept = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
            "intermediate_size", "max_position_embeddings", "type_vocab_size")  # fmt: skip
    settings = {name: getattr(config, name) for name in kept}
    settings |= dict(model_type="bert", architectures=["BertForPreTraining"])
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n")


if __name__ == "__main__":
    (HERE / "language").mkdir(exist_ok=True)
    legacy()
    for name in sys.argv[1:] or CASES:
        path = HERE / "language" / f"{name}.npz"
        np.savez_compressed(path, **compute(name))
        print(path.name, path.stat().st_size)
