"""Whisper computes what transformers' computes, from the same files, and writes the same tokens.

golden/whisper.npz is made by golden/make_whisper.py, in float64; weights are drawn here anew.
"""

import functools
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from test_language_models import near

from jaxdl import generate, models, pretrained
from jaxdl.errors import UserError
from jaxdl.generate import Settings, Speech, speech
from jaxdl.pretrained import tensors as files

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

WHOLE = "model.safetensors"
FILES = ("jaxdl/models/whisper.py", "jaxdl/pretrained/whisper.py", "jaxdl/generate/")


@functools.cache
def golden():
    with np.load(GOLDEN / "whisper.npz") as file:
        arrays = dict(file)
    return json.loads(str(arrays.pop("about"))), arrays


def theirs():
    return {name: seeded.weight(name, shape) for name, shape in golden()[0]["tensors"].items()}


def spectrogram(name, frames):
    """As golden/make_whisper.py draws it."""
    drawn = seeded.normal(name, (3, frames, 10))
    return (drawn * np.exp(np.sin(np.arange(frames) / 17))[:, None]).astype(np.float32)


def write(folder, tensors=None, **config):
    """The folder that transformers saved."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(golden()[0]["config"] | config))
    save_file(theirs() if tensors is None else tensors, folder / WHOLE)
    return folder


@pytest.fixture(scope="session")
def whisper(tmp_path_factory):
    return pretrained.load(write(tmp_path_factory.mktemp("whisper")))


@pytest.fixture(scope="module")
def encoded(whisper):
    return speech.encode(*whisper, spectrogram("short", 60))


def test_logits_states_and_gradients_are_those_of_transformers(whisper, tmp_path):
    (module, variables), (about, expected) = whisper, golden()
    x, target = spectrogram("short", 60), np.array(about["target"])
    weights = seeded.normal("loss", expected["logits"].shape).astype(np.float32)

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def gradient(params):
        own = {**variables, "params": params}
        encoded = module.apply(own, x, method="encode")
        logits = module.apply(own, target, encoded, method="decode")
        return (logits * weights).sum(), (encoded, logits)

    slopes, (encoded, logits) = gradient(variables["params"])
    near(encoded, expected["encoded"], "encoded")
    near(logits, expected["logits"], "logits")
    whole = jax.jit(module.apply)(variables, x, target)
    np.testing.assert_allclose(whole, logits, rtol=1e-5, atol=1e-5)
    # Theirs by their names: a saved file of slopes.
    pretrained.save(module, {**variables, "params": slopes}, tmp_path / "x.safetensors")
    ours = load_file(tmp_path / "x.safetensors")
    of_theirs = {
        k.removeprefix("gradient/"): x for k, x in expected.items() if k[:9] == "gradient/"
    }
    fixed = {"model.encoder.embed_positions.weight"}
    assert ours.keys() - of_theirs.keys() == fixed
    largest = max(np.abs(x).max() for x in of_theirs.values())
    for name, summary in of_theirs.items():
        size = max(np.abs(summary).max(), 0.05 * largest)
        assert np.abs(seeded.summary(name, ours[name]) - summary).max() < 1e-5 * size, name


def test_the_cache_gives_the_logits_of_the_whole(whisper, encoded):
    module, variables = whisper
    target = np.array(golden()[0]["target"])
    cache = module.init_cache(3, 7, 60)
    apply = jax.jit(functools.partial(module.apply, method="decode"))
    logits, cache = apply(variables, target[:, :4], encoded, cache=cache)
    found = [logits]
    for i in range(4, 7):
        logits, cache = apply(variables, target[:, i : i + 1], cache=cache)
        found.append(logits)
    np.testing.assert_allclose(
        jnp.concatenate(found, 1), golden()[1]["logits"], rtol=1e-4, atol=1e-4
    )


# Files


def test_what_is_saved_has_the_same_bits_and_is_read_again(whisper, tmp_path):
    module, variables = whisper
    pretrained.save(module, variables, tmp_path)
    ours = load_file(tmp_path / WHOLE)
    assert ours.keys() == theirs().keys()
    for name, x in theirs().items():
        np.testing.assert_array_equal(ours[name], x, err_msg=name)
    again, same = pretrained.load(tmp_path)
    assert again == module
    jax.tree.map(np.testing.assert_array_equal, same, variables)
    ours, said = json.loads((tmp_path / "config.json").read_text()), golden()[0]["config"]
    ends = {"bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"}
    assert {k for k, x in ours.items() if said.get(k, "none") != x} <= ends


def test_positions_are_the_files_and_otherwise_those_of_the_formula(whisper):
    module, variables = whisper
    x, target = spectrogram("short", 60), np.array(golden()[0]["target"])
    name = "model.encoder.embed_positions.weight"
    position = variables["constants"]["encoder_position"][0]
    np.testing.assert_array_equal(position, theirs()[name])
    drawn = module.init(jax.random.key(0), x[:1, :2], target[:1])["constants"]
    place, rate = np.arange(30)[:, None], 10000.0 ** (-np.arange(12) / 11)
    formula = np.concatenate([np.sin(place * rate), np.cos(place * rate)], 1)
    np.testing.assert_allclose(drawn["encoder_position"][0], formula, atol=3e-6)
    alone = {"params": variables["params"]}
    apply = jax.jit(functools.partial(module.apply, method="encode"))
    both = apply(alone, x), apply({**alone, "constants": drawn}, x)
    np.testing.assert_array_equal(*both)
    assert np.abs(both[0] - apply(variables, x)).max() > 0.1


def test_a_bare_model_and_an_encoder_alone_are_read(whisper, tmp_path):
    bare = {name.removeprefix("model."): x for name, x in theirs().items()}
    folder = write(tmp_path / "bare", bare, architectures=["WhisperModel"])
    jax.tree.map(np.testing.assert_array_equal, pretrained.load(folder)[1], whisper[1])
    module, variables = pretrained.load(folder, decoder_depth=0)
    x = spectrogram("short", 60)
    near(jax.jit(module.apply)(variables, x), golden()[1]["encoded"], "encoded")
    assert set(variables["params"]) < set(whisper[1]["params"])
    tied = {**theirs(), "proj_out.weight": theirs()["model.decoder.embed_tokens.weight"]}
    pretrained.load(write(tmp_path / "tied", tied))
    tied["proj_out.weight"] = tied["proj_out.weight"] + 1
    with pytest.raises(UserError, match=r"1 untied: proj_out\.weight is not model\.decoder"):
        pretrained.load(write(tmp_path / "tied", tied))


def test_openais_file_says_itself_what_it_holds(tmp_path):
    path = GOLDEN / "torch_files" / "whisper_openai.pt"
    module, variables = pretrained.load(path)
    assert (module.width, module.heads, module.hidden, module.bands) == (8, 2, 32, 4)
    assert (module.frames, module.context, module.vocab_size) == (12, 6, 16)
    # Half precision there; the same by transformers' names.
    pretrained.save(module, variables, tmp_path / "x.safetensors")
    for name, x in load_file(tmp_path / "x.safetensors").items():
        drawn = seeded.weight(name, x.shape).astype(np.float16)
        np.testing.assert_array_equal(x, drawn, err_msg=name)
    # And there and back by OpenAI's.
    pretrained.save(module, variables, tmp_path / "y.safetensors", "openai")
    with files.opened(path) as file:
        assert set(file.names) == load_file(tmp_path / "y.safetensors").keys()
    again = pretrained.load(tmp_path / "y.safetensors", "whisper", **_fields(module))
    jax.tree.map(np.testing.assert_array_equal, again[1], variables)
    with pytest.raises(UserError, match=r"openai has no config\.json"):
        pretrained.save(module, variables, tmp_path / "z", "openai")


def _of_encoder(variables):
    starts = ("encoder", "conv_")
    return {k: x for k, x in variables["params"].items() if k.startswith(starts)}


def _fields(module):
    names = ("width", "heads", "hidden", "bands", "frames", "context", "vocab_size",
             "encoder_depth", "decoder_depth")  # fmt: skip
    return {name: getattr(module, name) for name in names}


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(num_mel_bins=0), "num_mel_bins=0 must be a whole number from 1 on"),
        (dict(scale_embedding=True), "scale_embedding=True, but model 'whisper' has False"),
        (dict(activation_function="relu"), "activation_function='relu', but model 'whisper'"),
        (dict(decoder_ffn_dim=41), "encoder_ffn_dim=40 and decoder_ffn_dim=41, but model"),
        (dict(architectures=["WhisperForAudioClassification"]), "only WhisperForConditionalGen"),
    ],
)
def test_settings_that_do_not_fit_are_named(change, message, tmp_path):
    with pytest.raises(UserError, match=message):
        pretrained.load(write(tmp_path, {"x": np.zeros(1, np.float32)}, **change))


def test_what_cannot_be_read_or_written_is_said(whisper, tmp_path):
    module, variables = whisper
    apply = functools.partial(jax.eval_shape, module.apply, variables)
    target = np.zeros((3, 2), int)
    with pytest.raises(UserError, match="a sequence of 61 frames is longer than the model's: 60"):
        apply(spectrogram("long", 61), target)
    with pytest.raises(UserError, match=r"\(batch, frames, 10 bands\), got the shape \(3, 60, 9\)"):
        apply(spectrogram("short", 60)[..., :9], target)
    with pytest.raises(UserError, match="a sequence of 41 tokens is longer than the context: 40"):
        apply(spectrogram("short", 60), np.zeros((3, 41), int))
    with pytest.raises(UserError, match="image_size=32: model 'whisper' takes sounds"):
        pretrained.load(write(tmp_path / "x"), image_size=32)
    alone = module.copy(decoder_depth=0)
    with pytest.raises(UserError, match="transformers has no Whisper without a decoder"):
        pretrained.save(alone, {**variables, "params": _of_encoder(variables)}, tmp_path / "y")
    for source, message in (
        (np.zeros((3, 60)), r"source must be \(batch, frames, 10\) floats, got float64 \(3, 60\)"),
        (np.zeros((2, 60, 10)), r"source must be \(3, tokens\), one to each prompt"),
        (np.zeros((3, 62, 10)), "source of 62 frames is longer than the model's context of 60"),
    ):
        with pytest.raises(UserError, match=message):
            generate.greedy(module, variables, target, tokens=2, source=source)


def test_frames_that_are_padding_are_not_seen():
    module = models.create(
        "whisper", vocab_size=9, width=8, heads=2, hidden=8, encoder_depth=1, decoder_depth=1,
        bands=4, frames=12, context=6,
    )  # fmt: skip
    x, target = spectrogram("short", 12)[..., :4], np.ones((3, 2), int)
    variables = module.init(jax.random.key(0), x, target)
    mask = np.arange(12) < np.array([[12], [7], [8]])
    apply = jax.jit(module.apply)
    found = apply(variables, x, target, mask)
    # The second convolution reads one frame beyond a vector's own two.
    changed = np.where((np.arange(12) < np.array([[12], [9], [9]]))[..., None], x, 5)
    np.testing.assert_allclose(apply(variables, changed, target, mask), found, atol=1e-6)
    np.testing.assert_allclose(found[0], apply(variables, x, target)[0], atol=1e-6)
    assert np.abs(found[1] - apply(variables, x, target)[1]).max() > 1e-4


# What it writes


# Every day test_transcribe.py writes by one program, which is made of the same parts.
CALLS = [pytest.param(case, marks=pytest.mark.slow(*FILES)) for case in golden()[0]["calls"]]


@pytest.mark.parametrize("case", CALLS)
def test_tokens_are_those_of_transformers(case, whisper, encoded):
    module, variables = whisper
    call = golden()[0]["calls"][case]
    times, given = call["given"].pop("return_timestamps", False), call["given"]
    settings = Settings.of({**call["settings"], **given})
    known = Speech.of(settings)
    first = speech.first_logits(module, variables, encoded, known.start)
    prompt = known.prompt(speech.detect(known, first), times)
    made = speech.write(module, variables, settings, encoded, prompt, timestamps=times)
    texts = np.array(call["texts"])
    found = np.concatenate([prompt, made.tokens], axis=1)
    np.testing.assert_array_equal(found[:, : texts.shape[1]], texts)
    assert (found[:, texts.shape[1] :] == known.end).all()
