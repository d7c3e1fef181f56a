"""Programs of models that hear, by --mode=export: jax alone runs them, and they say the same."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import run
from test_export import WITHOUT, alone, called
from test_sounds import saved
from tiny import FLAGS

from jaxdl import generate, launch, ops
from jaxdl.inference import export
from jaxdl.inference.predict import Predictor
from jaxdl.tasks import Sound
from jaxdl.tasks.shared.contract import as_it_is


def test_long_sounds_of_any_number_are_heard_and_written_by_one_program():
    """From 8.2 s on spectrograms of a batch are made one after the other, on CPUs."""
    weights = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)

    def predict(weights, samples):
        heard = ops.log_mel(samples, 16000, 4000, 4000, 8)
        logits = heard @ weights
        length = (samples != 0).sum(1) // 4000
        return {"written": generate.ctc_greedy(logits, length, blank=4)[0], "logits": logits}

    hears = Predictor(predict, weights, as_it_is, {}, None, 1, None, Sound(16000, 132_000))
    program = export.program(hears)
    assert program.in_avals[0].dtype == jnp.float32
    assert str(program.in_avals[0].shape) == "(batch, 132000)"
    samples = np.random.default_rng(1).normal(size=(3, 132_000)).astype(np.float32)
    samples[1, 70_000:] = 0
    found, wanted = called(program, samples), jax.jit(predict)(weights, samples)
    np.testing.assert_array_equal(found["written"], wanted["written"])
    np.testing.assert_allclose(found["logits"], wanted["logits"], atol=1e-5)
    assert len({tuple(row) for row in np.asarray(found["written"]).tolist()}) > 1


@pytest.mark.parametrize("name", ["keys", "whisper:ctc", "whisper"])
def test_a_run_goes_out_and_its_example_says_what_predict_says(name, tmp_path, capsys):
    folder = tmp_path / "run"
    assert run(name, folder, *FLAGS[name], "--config.steps=6") == 0
    tones = sum(np.sin(2 * np.pi * f * np.arange(6000) / 16000) for f in (770, 1336))
    files = [
        saved(tmp_path / "new" / "a.wav", 0.3 * tones, 16000),
        saved(tmp_path / "new" / "b.wav", 0.1 * tones[:2000], 8000),
    ]
    given = [f"--workdir={folder}", "--mode=predict", f"--input={tmp_path / 'new'}"]
    assert launch.main(given) == 0
    said = [json.loads(line) for line in (folder / "predictions.jsonl").open()]
    assert launch.main([f"--workdir={folder}", "--mode=export", "--input_size=9"]) == 2
    assert "--input_size=9 is of images" in capsys.readouterr().err
    assert launch.main([f"--workdir={folder}", "--mode=export"]) == 0
    about = json.loads((folder / "export" / "model.json").read_text())
    assert (about["input"]["rate"], about["input"]["dtype"]) == (8000, "float32")
    shown = alone(WITHOUT, folder / "export" / "example.py", *files)
    for part, record in zip(shown.split(str(tmp_path / "new"))[1:], said, strict=True):
        if name != "keys":
            assert part.splitlines()[1] == "written"
            assert "\n".join(part.splitlines()[2:]).rstrip("\n") == record["text"].rstrip("\n")
            continue
        best = record["classes"][0]
        shares = part[part.index("shares") :].split()
        assert shares[1] == best["class"]
        assert float(shares[2]) == pytest.approx(best["share"], abs=1e-3)
