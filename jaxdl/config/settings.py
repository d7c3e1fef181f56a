"""Every setting that a run knows, once: its default, what it means, and what values it can take.

An experiment file starts from `default()` and changes what it needs:

    def get_config(variant="tiny"):
        config = jaxdl.config.default()
        config.model = dict(name="vit", depth=6)
        config.epochs = 100.0
        return config

The groups `data`, `model` and `task` name a plug and its settings; the keys that a plug takes
beyond those below are its own (a model's fields, say) and are checked against it.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from ml_collections import ConfigDict
from ml_collections.config_dict import FieldReference, placeholder

from jaxdl import paths
from jaxdl.errors import UserError, nearest
from jaxdl.registry import check_names


class Key(NamedTuple):
    """One setting.

    Attributes:
      default: its value, whose type later values must have; a type stands for "not set".
      help: what it does, with its unit.
      check: returns whether a value is possible.
      says: what is possible, in words.
      choices: all possible texts, where these are few.
    """

    default: Any
    help: str
    check: Callable[[Any], bool] = lambda v: True
    says: str = ""
    choices: tuple[str, ...] = ()


def _at_least(low: float, default: Any, help: str) -> Key:
    return Key(default, help, lambda v: v >= low and math.isfinite(v), f"at least {low}")


def _positive(default: Any, help: str) -> Key:
    return Key(default, help, lambda v: v > 0 and math.isfinite(v), "above 0")


def _axis(default: int, help: str) -> Key:
    return Key(default, help, lambda v: v == -1 or v > 0, "-1 or above 0")


def _seed(help: str) -> Key:
    # JAX makes a key of 32 bits of a seed, and of larger ones of the lowest of theirs.
    return Key(0, help, lambda v: 0 <= v < 2**32, "at least 0 and below 4294967296 (2^32)")


def _memory(help: str) -> Key:
    # 1 - memory^t divides the averages, in float32: nearer to 1 it is wrong by more than .1%, or 0.
    return Key(float, help, lambda v: 0 <= v <= 0.99999, "at least 0 and at most 0.99999")


def _share(default: Any, help: str) -> Key:
    return Key(default, help, lambda v: 0 <= v < 1, "at least 0 and below 1")


def _is_policy(pair: Any) -> bool:
    whole = all(type(x) is int for x in pair)
    return whole and len(pair) == 2 and 1 <= pair[0] <= 8 and 0 <= pair[1] <= 30


def _is_range(pair: Any) -> bool:
    numbers = all(isinstance(x, int | float) and -100 <= x <= 100 for x in pair)
    return len(pair) == 2 and numbers and pair[0] <= pair[1]


def _one_of(choices: tuple[str, ...], help: str) -> Key:
    return Key(choices[0], help, lambda v: v in choices, choices=choices)


KEYS: dict[str, Key | dict[str, Key]] = {
    "seed": _seed("what every random draw of the run follows from"),
    "population": _at_least(0, 0, "seeds trained at once, from seed on; 0 is a plain run"),
    "sweep": Key(
        "", "settings trained at once: optimizer.learning_rate=1e-4:1e-1:8:log; ema=0.9,0.99"
    ),
    "member": _at_least(0, int, "the one of a population to go on with or to look at"),
    "batch_size": _at_least(1, 64, "examples an update, over all devices and microbatches"),
    "epochs": _positive(float, "length of the run in passes over the training data, or else"),
    "steps": _at_least(1, int, "its length in updates"),
    "steps_per_call": _at_least(
        0, 0, "updates in one dispatch, by the clock if 0; changes no result"
    ),
    "accumulate": _at_least(1, 1, "microbatches an update; divides batch_size"),
    "ema": _share(0.0, "decay of the parameters' moving average, which evaluation then uses"),
    "swa": _share(0.0, "share of the run behind which an even average is kept, in place of ema"),
    "precision": _one_of(
        ("auto", "float32", "bf16"), "dtype of the computation (auto: bf16 on GPU and TPU)"
    ),
    "data": {
        "name": Key("digits", "data set, or the kind of files at data.path"),
        "path": Key("", "file or folder, where the data set is the user's own"),
        "image_size": _at_least(0, 0, "pixels a side that images are resized to; 0 keeps theirs"),
        "split": _one_of(
            ("random", "halves"),
            "test part of data that has none: a stratified draw, or the second half in order",
        ),
        "test_fraction": Key(
            0.2, "size of the random test part", lambda v: 0 < v < 1, "between 0 and 1"
        ),
        "split_seed": _seed("draws the split; apart from seed, so that runs compare"),
        "eval_on": _one_of(
            ("test", "validation", "both"),
            "validation: the data's own, or test_fraction of the training part; test stays unseen; "
            "both: that while a run learns, test for --mode=evaluate",
        ),
        "anomaly": Key("", "class, by name or number, that only the evaluation part keeps"),
        "label_noise": _share(0.0, "share of training labels that a random other class replaces"),
        "classes": Key((), "classes to keep, by name or number: (5, 6, 7); () is all"),
        "unseen": Key((), "classes, by name or number, that are judged alone, and not learned"),
        "class_batches": Key(
            (),
            "classes, and examples of each, in a batch: (8, 8); () takes examples as they come",
            lambda v: not v or (len(v) == 2 and all(type(x) is int and x > 1 for x in v)),
            "() or two whole numbers above 1",
        ),
        "balanced": Key(False, "draw training examples so that all classes are as frequent"),
        "labels_per_class": _at_least(0, 0, "training examples of each class to keep; 0 is all"),
        "label_seed": _seed("draws which those are"),
        "repeat": _at_least(1, 1, "times that a pass goes over each training example"),
        "symmetries": Key(
            1,
            "4: the quarter turns of a class are classes too; 8: of its mirror image as well; what "
            "data.unseen names is judged as it is",
            lambda v: v in (1, 4, 8),
            "1, 4 or 8",
        ),
    },
    "augment": {
        "shift": _at_least(0, 0, "pixels that images move, either way"),
        "crop": Key(
            1.0,
            "least share of the area that a random resized crop keeps",
            lambda v: 0 < v <= 1,
            "above 0 and at most 1",
        ),
        "flip": Key(False, "mirror half of the images"),
        "rotate": _at_least(0, 0.0, "largest rotation, degrees"),
        "zoom": _at_least(0, 0.0, "largest change of size; .1 is a factor in exp(±.1)"),
        "shear": _at_least(0, 0.0, "largest horizontal shear, columns a row"),
        "brightness": _share(0.0, "strength of the change in brightness"),
        "contrast": _share(0.0, "strength of the change in contrast"),
        "saturation": _share(0.0, "strength of the change in saturation"),
        "rand_augment": Key(
            (),
            "operations in a row, and their magnitude from 0 to 30: (2, 9)",
            lambda v: not v or _is_policy(v),
            "() or (operations, magnitude), 1 to 8 and 0 to 30, such as (2, 9)",
        ),
        "aug_mix": Key(
            0,
            "severity of AugMix's chains; 3 is usual, with task.consistency=12 of classification",
            lambda v: 0 <= v <= 10,
            "from 0 to 10",
        ),
        "erase": Key(
            0.0, "share of images that lose a rectangle", lambda v: 0 <= v <= 1, "from 0 to 1"
        ),
        "mixup": _at_least(0, 0.0, "α of mixup; 0 is off"),
        "cutmix": _at_least(0, 0.0, "α of cutmix; with mixup, each batch gets one of the two"),
    },
    "augment_scene": {
        "flip": Key(False, "mirror half of the images, left to right"),
        "flip_vertical": Key(False, "mirror half of them upside down"),
        "crop": Key(
            1.0,
            "least share of the area that a random resized crop keeps",
            lambda v: 0 < v <= 1,
            "above 0 and at most 1",
        ),
        "zoom": _at_least(0, 0.0, "largest change of scale; .5 is a factor in exp(±.5)"),
        "shift": _at_least(0, 0, "pixels that images move, either way"),
        "rotate": _at_least(0, 0.0, "largest rotation, degrees; boxes stay upright, and grow"),
        "shear": _at_least(0, 0.0, "largest horizontal shear, columns a row"),
        "brightness": _share(0.0, "strength of the change in brightness"),
        "contrast": _share(0.0, "strength of the change in contrast"),
        "saturation": _share(0.0, "strength of the change in saturation"),
        "mosaic": Key(
            0.0, "share of images that are joined of four", lambda v: 0 <= v <= 1, "from 0 to 1"
        ),
        "window": _at_least(0, 0, "pixels a side of a piece around a thing, all that is seen then"),
    },
    "augment_sound": {
        "shift": _at_least(0, 0.0, "seconds that sounds move, either way"),
        "snr": Key(
            (),
            "decibels, (low, high), between which the ratio of sound to added noise lies",
            lambda v: not v or _is_range(v),
            "() or two numbers from -100 to 100, the first not above the second",
        ),
        "time_masks": _at_least(0, 0, "stretches of time that are hidden in each spectrogram"),
        "time_mask": _at_least(0, 0.1, "seconds of the longest of them"),
        "frequency_masks": _at_least(0, 0, "ranges of frequency that are hidden"),
        "frequency_mask": _at_least(0, 8, "bands of the widest of them"),
    },
    "model": {"name": Key("", "architecture; its fields follow as further keys of this group")},
    "pretrained": {
        "source": Key(
            "", "weights to start from: a checkpoint's file, folder or hub id, or a run's workdir"
        ),
        "model": Key("", "whose they are, by the library's name or ours, where no file says it"),
        "checkpoint_key": Key("", "which of a PyTorch file's models, as 'state_dict_ema'"),
        "fresh": Key((), "regexes of names of what begins anew, besides a head of other classes"),
        "mean": Key((), "subtracted from each channel, images in [0, 1]; (): the model's own"),
        "std": Key((), "divides each channel then; (): the model's own"),
        "generation": Key((), "how texts are written: ('num_beams=4',); (): as the source says"),
    },
    "lora": {
        "rank": _at_least(0, 0, "of the change that dense layers learn, in place of all of them"),
        "alpha": _positive(16.0, "the change is times this over the rank"),
        "layers": Key(
            ("attention/", "feed_forward/"), "regexes of names of layers that learn so"
        ),
        "whole": Key(("^head/",), "regexes of names of parameters that learn as they are"),
    },
    "task": {
        "name": Key("classification", "what is learned; its settings follow as further keys")
    },
    "optimizer": {
        "name": Key("adamw", "sgd, rmsprop, adam, adamw, or any other of optax"),
        "learning_rate": _positive(1e-3, "the schedule's peak"),
        "schedule": Key(
            "cosine", "constant, step, cosine, linear, late_linear, exponential, one_cycle, rsqrt"
        ),
        "schedule_unit": Key(
            "epochs", "of warmup, boundaries and unfreeze: epochs, steps, fraction"
        ),
        "warmup": _at_least(0, 0.0, "length of the linear rise in front of the schedule"),
        "boundaries": Key((), "where the step schedule falls"),
        "decay_factor": _positive(0.1, "what it falls by"),
        "end_factor": _at_least(0, 0.0, "last rate of cosine, linear, exponential, over the peak"),
        "weight_decay": _at_least(0, 0.0, "decoupled: shrinks weights by rate x decay an update"),
        "l2": _at_least(0, 0.0, "coupled: added to the gradient as l2 x weight"),
        "no_decay": Key(
            ("position", "class_token"), "regexes of names that neither touches (nor vectors)"
        ),
        "noise": _at_least(0, 0.0, "deviation of Gaussian noise on the gradient, before clipping"),
        "sharpness": _at_least(
            0, 0.0, "radius of sharpness-aware minimisation, .05 is usual: two passes an update"
        ),
        "clip": _at_least(0, 0.0, "largest norm of the whole gradient; 0 is off"),
        "clip_norm": _at_least(0, 0.0, "largest norm of each parameter's gradient; 0 is off"),
        "clip_value": _at_least(0, 0.0, "largest gradient of each weight; 0 is off"),
        "clip_adaptive": _at_least(0, 0.0, "largest gradient norm over weight norm; 0 is off"),
        "momentum": _share(float, "of sgd and rmsprop"),
        "nesterov": Key(bool, "look ahead, in sgd, rmsprop, adam and adamw"),
        "b1": _memory("memory of the mean in adam's kind"),
        "b2": _memory("memory of the square in adam's kind"),
        "eps": _at_least(0, float, "what keeps the denominator from 0"),
        "decay": _share(float, "memory of rmsprop"),
        "centered": Key(bool, "rmsprop by variance instead of second moment"),
        "options": Key((), "the optimizer's further arguments: ('ns_steps=5',)"),
        "adam_params": Key((), "regexes of names of what Muon leaves to Adam: ('^head/',)"),
        "groups": Key((), "learning-rate factors: ('head=10', '^patch_embed=0'); 0 freezes"),
        "head": Key(("^head/",), "regexes of names of what learns while all else is frozen"),
        "unfreeze": _at_least(0, 0.0, "until then only the head learns; 0 freezes nothing"),
        "layer_decay": Key(
            1.0,
            "factor on the rate, once more for each layer below the head",
            lambda v: 0 < v <= 1,
            "above 0 and at most 1",
        ),
    },
    "parallel": {
        "strategy": _one_of(("jit", "pmap"), "how the step meets the devices"),
        "data": _axis(-1, "devices that the batch is split over; -1 is what is left"),
        "fsdp": _axis(1, "devices that the batch, parameters and optimizer state are split over"),
        "tensor": _axis(1, "devices that single layers are split over"),
        "fsdp_min_size": _at_least(1, 1024, "elements from which an array is split over fsdp"),
    },
    "eval": {
        "every": _at_least(0, 0, "updates between evaluations; 0 makes about 20 in the run"),
        "batch_size": _at_least(1, 256, "examples at a time"),
        "best": Key("accuracy", "the metric that names the best checkpoint"),
        "score_every": _at_least(
            0, 0, "updates between figures of whole sets, at evaluations; 0 is at each of these"
        ),
    },
    "checkpoint": {
        "every": _at_least(0, 0, "updates between checkpoints; 0 makes one at each evaluation"),
        "keep": _at_least(1, 2, "newest checkpoints to keep, beside the best"),
    },
    "early_stopping": {
        "metric": Key("", "evaluation metric that must improve; empty is off"),
        "patience": _at_least(
            0, 5, "evaluations without improvement until the run ends; 0 is any number"
        ),
        "target": Key(float, "value of the metric at which, or beyond which, the run ends"),
    },
    "lr_find": {
        "low": _positive(1e-6, "first learning rate of --mode=lr_find"),
        "high": _positive(10.0, "its last one; above low"),
        "steps": Key(
            0,
            "its updates; 0 is a pass over the data, from 200 to 400",
            lambda v: v == 0 or v >= 20,
            "0 or at least 20",
        ),
    },
    "log": {
        "every": _at_least(0, 0, "updates between log lines; 0 makes about 100 in the run"),
        "layers": Key(True, "gradient and update norms of every layer"),
        "report": Key(True, "a report.html at the end"),
    },
}  # fmt: skip

# The smallest and largest positive numbers of float32 with all their digits.
LEAST, MOST = 2.0**-126, (2 - 2.0**-23) * 2.0**127

# What a value of each type is called in messages.
TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a tuple",
}

# A plug's own settings stand beside the name in these groups.
PLUGS = ("data", "model", "task")

# Groups that not every task uses: each says which it does (`jaxdl.tasks.register`).
OPTIONAL = ("model", "augment", "augment_scene", "augment_sound", "pretrained", "lora")

# Fields of models that say nothing of which weights they have.
_WEIGHTLESS = (
    "pooling",
    "dropout",
    "attention_dropout",
    "activation_dropout",
    "drop_path",
    "remat",
)

# Settings that leave every number of a run as it is.
HARMLESS = ("log.", "lr_find.", "checkpoint.", "parallel.", "steps_per_call", "eval.batch_size")


def _items(keys: dict = KEYS, prefix: str = "") -> Iterator[tuple[str, Key]]:
    for name, key in keys.items():
        if isinstance(key, Key):
            yield prefix + name, key
        else:
            yield from _items(key, f"{prefix}{name}.")


def default() -> ConfigDict:
    """A config with every key at its default; `config.model` still needs a name."""

    def build(keys: dict) -> ConfigDict:
        return ConfigDict(
            {
                name: build(key)
                if isinstance(key, dict)
                else placeholder(key.default)
                if isinstance(key.default, type)
                else key.default
                for name, key in keys.items()
            }
        )

    return build(KEYS)


def describe() -> str:
    """The table of keys, defaults and meanings that --help prints."""
    rows = []
    for name, key in _items():
        shown = f"({key.default.__name__})" if isinstance(key.default, type) else repr(key.default)
        choices = f": {' | '.join(key.choices)}" if key.choices else ""
        rows.append(f"  {name:<26} {shown:<28} {key.help}{choices}")
    return "\n".join(rows)


def _as_json(value: Any) -> Any:
    """Tuples, also in one another, as the lists that JSON has of them."""
    return [_as_json(x) for x in value] if isinstance(value, tuple | list) else value


def flatten(config: ConfigDict) -> dict[str, Any]:
    """``{"optimizer.name": "adamw", …}``, tuples as lists: what config.json holds and compares."""
    flat: dict[str, Any] = {}

    def walk(node: Any, prefix: str) -> None:
        for name in sorted(node):
            value = node[name]
            if isinstance(value, FieldReference):
                value = value.get()
            if isinstance(value, ConfigDict | dict):
                walk(value, f"{prefix}{name}.")
            else:
                flat[prefix + name] = _as_json(value)

    walk(config, "")
    return flat


def differences(
    old: dict[str, Any],
    new: dict[str, Any],
    usual: Mapping[str, Any] = MappingProxyType({}),
    asks: Sequence[str] = (),
) -> list[str]:
    """Keys of two flat configs that differ and matter, as ``key: old → new``.

    Args:
      old: of a run.
      new: with which it is to go on.
      usual: the values of further keys, as they come.
      asks: keys that may differ.
    """
    # What the weights to start from brought with them: a model, or its fields that decide which
    # weights it has, and how it writes texts.
    brought = {"model.name": "model."} | {
        name: name for name in ("pretrained.model", "pretrained.generation")
    }
    harmless = (*HARMLESS, *(group for name, group in brought.items() if not new.get(name)))
    if new.get("pretrained.source"):
        fields = {k for k in old if k.startswith("model.")} - {f"model.{k}" for k in _WEIGHTLESS}
        harmless += tuple(fields - {"model.name"})
    # A key that there was not yet when the run began is as if it stood there as it comes.
    come = {k: _as_json(key.default) for k, key in _items()} | dict(usual)
    old = {k: value for k, value in come.items() if k in new and value == new[k]} | old
    return [
        f"{key}: {old.get(key, 'not set')!r} → {new.get(key, 'not set')!r}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key) and not key.startswith(harmless) and key not in asks
    ]


def expand_paths(config: ConfigDict) -> None:
    """Has ``~`` in the config's paths stand for what it means (`jaxdl.paths.expanded`).

    Paths are `pretrained.source`, `data.path`, and each text among a data set's own settings.
    """
    own = [key for key in config.data if key == "path" or key not in KEYS["data"]]
    for group, keys in ((config.data, own), (config.pretrained, ("source",))):
        for key in keys:
            if isinstance(group[key], str):
                group[key] = paths.expanded(group[key])


def changed(config: ConfigDict, group: str) -> dict[str, Any]:
    """{dotted name: value} of the group's settings that are not as they come; no plug's own."""
    return {
        f"{group}.{name}": config[group][name]
        for name, key in KEYS[group].items()
        if config[group][name] != (None if isinstance(key.default, type) else key.default)
    }


def validate(config: ConfigDict) -> None:
    """Checks all keys and values, and what must fit together; touches no device.

    Raises:
      UserError: names the first key that is wrong, and what would be right.
    """
    check_names("config", config, KEYS)
    for name, spec in KEYS.items():
        if name not in config:
            raise UserError(f"config.{name} is missing: start from jaxdl.config.default()")
        group = config[name]
        if isinstance(spec, Key):
            _check_value(f"config.{name}", group, spec)
            continue
        if not isinstance(group, ConfigDict):
            raise UserError(f"config.{name} must be a group of keys ({', '.join(spec)})")
        if name not in PLUGS:
            check_names(f"config.{name}", group, spec)
        for key, value_spec in spec.items():
            if key not in group:
                raise UserError(f"config.{name}.{key} is missing: start from config.default()")
            _check_value(f"config.{name}.{key}", group[key], value_spec)
    if config.epochs is not None and config.steps is not None:
        raise UserError(
            "config.steps and config.epochs are both set: set one "
            f"(here epochs={config.epochs:g}, steps={config.steps}), and the other to none"
        )
    if config.epochs is None and config.steps is None:
        raise UserError("config.epochs or config.steps must be set: how long is the run?")
    if config.ema and config.swa:
        raise UserError(
            f"config.ema={config.ema:g} and config.swa={config.swa:g} are both averages that "
            "evaluation would use: set one"
        )
    if config.batch_size % config.accumulate:
        raise UserError(
            f"config.accumulate={config.accumulate} does not divide config.batch_size="
            f"{config.batch_size}"
        )
    if config.lr_find.low >= config.lr_find.high:
        raise UserError(
            f"config.lr_find.low={config.lr_find.low:g} must be below config.lr_find.high="
            f"{config.lr_find.high:g}"
        )
    if config.lr_find.high > 1e30 * config.lr_find.low:
        raise UserError(
            f"config.lr_find.high={config.lr_find.high:g} must be at most 1e30 times "
            f"config.lr_find.low={config.lr_find.low:g}"
        )
    if config.early_stopping.metric and not config.eval.best:
        raise UserError("config.early_stopping.metric needs config.eval.best")
    if config.early_stopping.target is not None and not config.early_stopping.metric:
        raise UserError(
            f"config.early_stopping.target={config.early_stopping.target:g} is a value of "
            "config.early_stopping.metric, which is not set"
        )


def check_key(dotted: str, value: Any) -> None:
    """Raises UserError if the setting ``dotted`` cannot be ``value``; a plug's own may be any."""
    key = dict(_items()).get(dotted)
    if key is not None:
        _check_value(f"config.{dotted}", value, key)


def _check_value(name: str, value: Any, key: Key) -> None:
    optional = isinstance(key.default, type)
    kind = key.default if optional else type(key.default)
    if value is None and optional:
        return
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is tuple and isinstance(value, list):
        value = tuple(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise UserError(
            f"{name}={value!r} must be {TYPES[kind]}, not {TYPES.get(type(value), type(value))}"
        )
    if kind is float and math.isfinite(value) and not LEAST <= abs(value or 1) <= MOST:
        raise UserError(
            f"{name}={value!r} is not possible: runs compute in float32, which has numbers from "
            f"{LEAST:.2g} to {MOST:.2g}"
        )
    if not key.check(value):
        hint = nearest(value, key.choices) if key.choices else key.says
        raise UserError(f"{name}={value!r} is not possible: {hint}")
