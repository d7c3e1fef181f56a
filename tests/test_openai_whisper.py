"""OpenAI's file of a Whisper, with a tokenizer.json beside it, writes as transformers' folder."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file
from test_fine_tuned_whisper import (
    BANDS,
    FRAMES,
    SPECIAL,
    TEXTS,
    asked,
    published,
    sound,
    tokenizer,
)
from test_torch_file import archive, rebuilt

from jaxdl import experiment, launch, pretrained
from jaxdl.errors import UserError
from jaxdl.generate import Settings, Speech, entries
from jaxdl.inference import transcribe

DIMS = dict(
    n_mels=BANDS, n_audio_ctx=FRAMES // 2, n_audio_state=16, n_audio_head=2, n_audio_layer=1,
    n_text_ctx=24, n_text_state=16, n_text_head=2, n_text_layer=1,
)  # fmt: skip


def saved(path, tensors, **dims):
    """As `torch.save` of {"dims": …, "model_state_dict": …}, without PyTorch."""
    told = b"".join(b"S'%s'\nI%d\ns" % (name.encode(), n) for name, n in {**DIMS, **dims}.items())
    state, parts = b"", {}
    for key, (name, x) in enumerate(tensors.items()):
        strides = [n // x.itemsize for n in x.strides]
        state += b"S'%s'\n" % name.encode() + rebuilt(0, x.shape, strides, x.size, key) + b"s"
        parts[str(key)] = x.tobytes()
    code = b"}S'dims'\n}" + told + b"sS'model_state_dict'\n}" + state + b"s."
    return archive(path, code, **parts)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """tiny.pt and tokenizer.json in a folder, beside transformers' folder of the same model."""
    pytest.importorskip("tokenizers")
    root = tmp_path_factory.mktemp("openai")
    # Its files have four times the width inside.
    module, variables, _, made = published(hidden=64)
    pretrained.save(module, variables, root / "x.safetensors", "openai")
    tensors = load_file(root / "x.safetensors")
    found = saved(root / "tiny.pt", tensors, n_vocab=module.vocab_size)
    made.save(str(root / "tokenizer.json"))
    settings = pretrained.generation(found)
    pretrained.save(module, variables, root / "folder", generation=settings)
    made.save(str(root / "folder" / "tokenizer.json"))
    return found


def test_how_it_writes_is_told_by_its_tokens(file):
    token, found = tokenizer().token_to_id, pretrained.generation(file)
    start, end = token("<|startoftranscript|>"), token("<|endoftext|>")
    assert (found.decoder_start_token_id, found.eos_token_id) == (start, end)
    assert found.begin_suppress_tokens == (token("Ġ"), end)
    assert found.max_new_tokens == 12
    # Hyphens stay, as they may stand in a word, and so does the space in front of one.
    assert not {token("Ġ"), end, token("'"), token("-")} & {*found.suppress_tokens}
    marks = {token(c) for c in '"#()*+/:;<=>@[\\]^_`{|}~'} | {token("â")}
    special = {token(name) for name in SPECIAL[1:9]} - {token("<|en|>"), token("<|de|>")}
    assert {*found.suppress_tokens} == marks | special
    speech = Speech.of(found)
    assert speech.detects
    assert speech.languages == {"en": token("<|en|>"), "de": token("<|de|>")}
    assert speech.previous == token("<|startofprev|>")
    de = np.array([token("<|de|>")])
    asked = [start, *de, token("<|transcribe|>")]
    assert speech.prompt(de, timestamps=True).tolist() == [asked]
    assert speech.timestamps == (token("<|notimestamps|>") + 1, end, 50)
    assert Settings.of(entries.parsed(entries.listed(found), "x")) == found
    # What stands beside the file counts.
    beside = file.with_name("generation_config.json")
    beside.write_text(json.dumps({**found.said(), "max_new_tokens": 3}))
    try:
        assert pretrained.generation(file).max_new_tokens == 3
    finally:
        beside.unlink()


def test_recordings_are_heard_and_translated_as_by_transformers_folder(file, tmp_path, capsys):
    talks = tmp_path / "talks"
    talks.mkdir()
    sound(talks / "long.wav", 1.5, 9)
    (talks / "broken.wav").write_bytes(b"")
    sure = {}
    for how in ("task=translate", "language=de,task=translate", "language=de"):
        said = []
        for name, source in (("file", file), ("folder", file.with_name("folder"))):
            arguments = [
                "--mode=predict", f"--input={talks}", f"--workdir={tmp_path / name}",
                f"--config.pretrained.source={source}",
                f"--config.pretrained.generation={how},temperature=0,no_speech_threshold=none",
            ]  # fmt: skip
            assert launch.main(arguments) == 2
            assert "1 of 2 sounds could not be read: " in capsys.readouterr().err
            names = ("predictions.jsonl", "long.srt", "long.vtt")
            said.append([(tmp_path / name / kind).read_text() for kind in names])
        assert said[0] == said[1]
        found = json.loads(said[0][0])
        assert found["text"]
        sure[how] = found["segments"][0]["log_probability"]
    # What is asked for is heard.
    assert sure["language=de,task=translate"] != sure["language=de"]


def test_a_run_begins_with_it(file, tmp_path):
    lines = ["file,text"]
    for i, text in enumerate(TEXTS):
        sound(tmp_path / f"{i}.wav", 0.3, i)
        lines.append(f"{i}.wav,{text}")
    (tmp_path / "transcripts.csv").write_text("\n".join(lines) + "\n")
    made = experiment.create(asked((file.parent, tmp_path), **{"pretrained.source": str(file)}))
    state, out = made.init_state(), tmp_path / "out"
    jax.tree.map(np.testing.assert_array_equal, state.best_variables, pretrained.load(file)[1])
    made.task.publish(state, out)
    said = pretrained.generation(file).said()
    assert pretrained.generation(out).said() == {**said, "language": "de"}


def test_what_it_needs_beside_it_is_one_line(file, tmp_path, capsys):
    alone = tmp_path / "tiny.pt"
    alone.write_bytes(file.read_bytes())
    other = tmp_path / "tokenizer.json"

    def refused(message, source=alone):
        with pytest.raises(UserError, match=message) as error:
            transcribe.load(source)
        assert "\n" not in str(error.value)

    refused(r"tiny\.pt does not say what its tokens mean: it needs tokenizer\.json beside it")
    text = file.with_name("tokenizer.json").read_text()
    other.write_text(text.replace("<|translate|>", "<|interpret|>"))
    refused(r"tokenizer\.json has no token <\|translate\|>: it is not that of a Whisper")
    other.write_text(text)
    saved(alone, {"x": np.zeros(1, np.float32)}, n_vocab=311)
    size = tokenizer().get_vocab_size()
    refused(f"is of another Whisper: with the times it has {size} tokens, and .* has 311")
    with pytest.raises(UserError, match="is one file: it does not say how texts are written"):
        pretrained.generation(file.with_name("x.safetensors"))
    # A folder that holds it says which file to name.
    arguments = ["--mode=predict", "--input=a.wav", f"--config.pretrained.source={tmp_path}"]
    assert launch.main([*arguments, f"--workdir={tmp_path / 'out'}"]) == 2
    assert f"by --config.pretrained.source={alone}\n" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"has no config\.json: .* or name the file: tiny\.pt"):
        pretrained.load(tmp_path)
