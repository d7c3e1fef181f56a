"""BERT's published weights (Devlin et al., 2018), as transformers has them."""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.errors import UserError
from jaxdl.models.bert import BERT
from jaxdl.pretrained import config as settings
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, tokens
from jaxdl.pretrained.mapping import (
    QKV,
    Rule,
    Table,
    attention_out,
    dense,
    merge,
    norm,
    qkv_apart,
    rule,
)

_BASE = "bert."
_LAYER = f"{_BASE}encoder.layer.{{i}}"
_MASKED = "cls.predictions"
_TABLE_OF_TOKENS = f"{_BASE}embeddings.word_embeddings.weight"


def _head(output: str, names: tuple[str, str]) -> tuple[Rule, ...]:
    """The rules of what stands behind the encoder."""
    if output == "masked_lm":
        return (
            *dense(f"{_MASKED}.transform.dense", "head/transform"),
            *norm(f"{_MASKED}.transform.LayerNorm", "head/norm", names),
            rule(f"{_MASKED}.bias", "head/bias"),
        )
    return dense("qa_outputs" if output == "span" else "classifier", "head")


# What a file may have of other heads than the one that is read. BertForPreTraining's second one,
# of whether a sentence follows another, no model here has.
_HEADS = {
    "masked_lm": r"cls\.predictions\..*",
    "classifier": r"classifier\.(weight|bias)",
    "span": r"qa_outputs\.(weight|bias)",
}


def _table(module: BERT, names: tuple[str, str] = ("weight", "bias")) -> Table:
    """The tensors, by a module's output; ``names`` are those of a norm's scale and bias."""
    attention, feed_forward = "block_{i}/attention", "block_{i}/feed_forward"
    own = "classifier" if module.output == "tagger" else module.output
    others = [pattern for output, pattern in _HEADS.items() if output != own]
    base = re.escape(_BASE)
    pooler = [] if module.output == "classifier" else [rf"{base}pooler\.dense\.(weight|bias)"]
    tied = {
        f"{_MASKED}.decoder.weight": _TABLE_OF_TOKENS,
        f"{_MASKED}.decoder.bias": f"{_MASKED}.bias",
    }
    return Table(
        rules=(
            rule(_TABLE_OF_TOKENS, "token/embedding"),
            rule(f"{_BASE}embeddings.position_embeddings.weight", "position", steps=[merge(0, 1)]),
            rule(f"{_BASE}embeddings.token_type_embeddings.weight", "segment/embedding"),
            *norm(f"{_BASE}embeddings.LayerNorm", "norm", names),
            *qkv_apart({name: f"{_LAYER}.attention.self.{name}" for name in QKV}, attention),
            *attention_out(f"{_LAYER}.attention.output.dense", attention),
            *norm(f"{_LAYER}.attention.output.LayerNorm", "block_{i}/norm_attention", names),
            *dense(f"{_LAYER}.intermediate.dense", f"{feed_forward}/up"),
            *dense(f"{_LAYER}.output.dense", f"{feed_forward}/down"),
            *norm(f"{_LAYER}.output.LayerNorm", "block_{i}/norm_feed_forward", names),
            *dense(f"{_BASE}pooler.dense", "pooler"),
            *_head(module.output, names),
        ),
        ignored=(
            *others,
            *pooler,
            r"cls\.seq_relationship\.(weight|bias)",
            rf"{base}embeddings\.position_ids",
        ),
        tied=tied if module.output == "masked_lm" else {},
        base=_BASE,
    )


_SIZES = dict(
    vocab_size="vocab_size",
    context="max_position_embeddings",
    segment_types="type_vocab_size",
    width="hidden_size",
    depth="num_hidden_layers",
    heads="num_attention_heads",
    hidden="intermediate_size",
)
_FIXED = dict(
    model_type=("bert",),
    position_embedding_type=("absolute",),
    is_decoder=(False,),
    add_cross_attention=(False,),
    tie_word_embeddings=(True,),
)


def _read(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    settings.check(config, path, "bert", _FIXED)
    return dict(
        settings.sizes({"type_vocab_size": 2, **config}, path, _SIZES),
        activation=settings.activation(config.get("hidden_act", "gelu"), path, "hidden_act"),
        norm_epsilon=settings.number(config, path, "layer_norm_eps", 1e-12),
    )


_CLASSES = dict(
    masked_lm="BertForMaskedLM",
    classifier="BertForSequenceClassification",
    tagger="BertForTokenClassification",
    span="BertForQuestionAnswering",
)


def _write(module: BERT) -> dict[str, Any]:
    if module.output == "classifier" and module.pooling != "first":
        raise UserError(
            f"transformers has no BERT that reads classes off pooling={module.pooling!r}"
        )
    has_classes = module.output in ("classifier", "tagger")
    headless = has_classes and not module.num_classes
    sizes = {key: getattr(module, field) for field, key in _SIZES.items()}
    return dict(
        {key: values[0] for key, values in _FIXED.items()},
        architectures=["BertModel" if headless else _CLASSES[module.output]],
        **{**sizes, "intermediate_size": module.hidden or 4 * module.width},
        hidden_act=settings.their_activation(module.activation),
        layer_norm_eps=module.norm_epsilon,
        pad_token_id=0,
        **(dict(num_labels=module.num_classes) if has_classes and not headless else {}),
    )


BERT_ = register("bert")(
    Architecture(
        model="bert",
        inputs=tokens(1),
        namings={
            "transformers": Naming(
                _table,
                read=_read,
                write=_write,
                classes={
                    **{name: dict(output=output) for output, name in _CLASSES.items()},
                    "BertForPreTraining": dict(output="masked_lm"),
                    "BertModel": dict(output="classifier", num_classes=0),
                },
            ),
            # The first files are of TensorFlow's names.
            "transformers of 2018": Naming(functools.partial(_table, names=("gamma", "beta"))),
        },
        model_types=("bert",),
        head=("head",),
        head_fields=("output",),
        neck=("pooler",),
    )
)
