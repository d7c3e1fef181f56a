"""Runs that write texts and begin with a published T5 or BART, and folders made of such runs."""

import functools
import json
import shutil

import jax
import numpy as np
import pytest
from launching import run

from jaxdl import config, experiment, generate, launch, models, pretrained
from jaxdl.config import settings as config_settings
from jaxdl.errors import UserError
from jaxdl.generate import Settings, entries
from jaxdl.tasks import sequence_to_sequence as task

WORDS = ("red", "green", "blue", ".")
NAMES = {
    "t5": ("<pad>", "</s>", "<unk>", "<extra_id_0>", "<extra_id_1>", *WORDS),
    "bart": ("<s>", "<pad>", "</s>", "<unk>", "<mask>", *WORDS),
}
SIZE = dict(width=8, heads=2, hidden=16, encoder_depth=1, decoder_depth=1, vocab_size=12)
OWN = {"t5": dict(head_dim=4), "bart": dict(context=20)}
# What generation_config.json says, of BART as its summarisers' does.
SAID = {
    "t5": Settings(decoder_start_token_id=0, eos_token_id=1, pad_token_id=0),
    "bart": Settings(
        decoder_start_token_id=2, eos_token_id=2, pad_token_id=1, bos_token_id=0, max_length=6,
        num_beams=2, length_penalty=2.0, early_stopping=True, no_repeat_ngram_size=3,
        forced_bos_token_id=0, forced_eos_token_id=2,
    ),
}  # fmt: skip


@functools.cache
def variables_of(name):
    module = models.create(name, **SIZE, **OWN[name])
    tokens = np.zeros((1, 2), np.int32)
    made = jax.jit(lambda key: module.init(key, tokens, tokens))(jax.random.key(3))
    # Scores that differ enough for texts to be of more than one token.
    return module, jax.tree.map(lambda x: 5 * x, made)


def saved_tokenizer(name, folder):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    names = NAMES[name]
    made = Tokenizer(models.WordLevel({w: i for i, w in enumerate(names)}, "<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens([w for w in names if w.startswith("<")])
    around = {"t5": "$A </s>", "bart": "<s> $A </s>"}[name]
    used = [(w, names.index(w)) for w in around.split() if w != "$A"]
    made.post_processor = processors.TemplateProcessing(single=around, special_tokens=used)
    made.save(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    found = {}
    for name in NAMES:
        found[name] = tmp_path_factory.mktemp("published") / name
        pretrained.save(*variables_of(name), found[name], generation=SAID[name])
        saved_tokenizer(name, found[name])
    rows = [dict(source="red green", target="blue"), dict(source="blue", target="red red .")] * 4
    found["pairs"] = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    found["pairs"].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return found


def asked(folders, name, **changed):
    made = config.default()
    made.steps, made.batch_size, made.parallel.data = 4, 2, 1
    made.task.name, made.eval.best = "sequence_to_sequence", "accuracy"
    made.data.update(name="pairs", path=str(folders["pairs"]), test_fraction=0.5)
    made.data.tokenizer = str(folders[name] / "tokenizer.json")
    made.pretrained.source, made.log.layers = str(folders[name]), False
    with made.ignore_type():
        made.update_from_flattened_dict(changed)
    return experiment.complete(made)


def writer_of(made):
    return made.task.answer.args[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_brings_its_weights_its_tokens_and_its_way_to_write(name, folders):
    made = experiment.create(asked(folders, name))
    _, variables = variables_of(name)
    state = made.init_state()
    for found, wanted in ((state.params, variables["params"]), (state.model_state, variables)):
        for key, leaves in found.items():
            jax.tree.map(np.testing.assert_array_equal, leaves, wanted[key])
    # As transformers makes them: labels are the tokenizer's, the decoder's are moved by one.
    special = writer_of(made).special
    red, green, blue, dot = (NAMES[name].index(word) for word in WORDS)
    pad, end, start = (0, 1, 0) if name == "t5" else (1, 2, 2)
    front = [] if name == "t5" else [0]
    batch = made.run.data.train.take(np.arange(len(made.run.data.train)))
    rows = {tuple(row) for row in batch["source"].tolist()}
    assert rows == {(*front, red, green, end), (*front, blue, end, pad)}
    targets = {tuple(row): i for i, row in enumerate(batch["target"].tolist())}
    assert set(targets) == {(*front, blue, end, pad, pad), (*front, red, red, dot, end)}
    given = np.asarray(task.shifted(batch["target"], special))[
        targets[(*front, red, red, dot, end)]
    ]
    assert given.tolist() == [start, *front, red, red, dot]
    # What the folder says, and what it leaves open.
    settings, said = writer_of(made).settings, SAID[name]
    assert settings == said if said.max_length else settings.max_new_tokens == len(given)
    assert made.config.model.name == name
    assert made.config.model.width == SIZE["width"]


def test_texts_are_written_as_the_folder_says(folders, tmp_path):
    made = experiment.create(asked(folders, "bart"))
    state = made.init_state()
    (tmp_path / "in.txt").write_text("red green\n")
    (said,) = made.task.answer(state, str(tmp_path / "in.txt"), 4)
    module, variables = pretrained.load(folders["bart"])
    source = np.array([[0, 5, 6, 2]])
    texts = generate.by_settings(module, variables, SAID["bart"], source=source)
    wanted = writer_of(made).text(np.asarray(texts)[0, 0])
    assert said.text == wanted
    assert set(wanted.split()) <= {*NAMES["bart"][3:], *WORDS}


def test_settings_of_the_task_stand_in_place_of_the_folders(folders):
    changed = {"task.beams": 3, "task.tokens": 4, "task.generation": ("length_penalty=-1",)}
    made = experiment.create(asked(folders, "bart", **changed))
    found = writer_of(made).settings
    assert (found.num_beams, found.max_new_tokens, found.length_penalty) == (3, 4, -1)
    assert found.no_repeat_ngram_size == 3
    # The command that began a run goes on with it: what the folder brought is no change.
    again = asked(folders, "bart", **changed)
    old, new = map(config_settings.flatten, (made.config, again))
    assert config_settings.differences(old, new) == []
    other = config_settings.flatten(asked(folders, "bart", **changed | {"task.beams": 2}))
    assert len(config_settings.differences(old, other)) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("named", [False, True])
def test_a_run_that_has_begun_needs_no_folder(name, named, folders, tmp_path):
    gone = {**folders, name: shutil.copytree(folders[name], tmp_path / name)}
    changed = {"model": dict(name=name)} if named else {}
    given = asked(gone, name, **changed)
    given.data.tokenizer = str(folders[name] / "tokenizer.json")
    made = experiment.create(given)
    shutil.rmtree(gone[name])
    again = experiment.create(made.config)
    assert writer_of(again)._replace(tokenizer=None) == writer_of(made)._replace(tokenizer=None)
    assert again.abstract_state == made.abstract_state
    with pytest.raises(UserError, match=name):
        again.task.check()


@pytest.mark.parametrize("name", NAMES)
def test_a_run_goes_out_as_a_folder(name, folders, tmp_path):
    made = experiment.create(asked(folders, name, **{"task.tokens": 5}))
    made.task.publish(made.init_state(), tmp_path)
    module, variables = pretrained.load(tmp_path)
    assert module == variables_of(name)[0]
    jax.tree.map(np.testing.assert_array_equal, variables, variables_of(name)[1])
    assert pretrained.generation(tmp_path) == writer_of(made).settings
    said = json.loads((tmp_path / "config.json").read_text())
    of_tokens = ("decoder_start_token_id", "eos_token_id", "pad_token_id")
    assert all(said[key] == getattr(SAID[name], key) for key in of_tokens)


def test_texts_to_be_restored_stand_between_the_same_tokens(folders, tmp_path):
    (tmp_path / "a.txt").write_text(" ".join(WORDS * 20))
    made = experiment.create(
        asked(folders, "bart", **{
            "data": dict(config.default().data, name="text", path=str(tmp_path / "a.txt"),
                         context=8, tokenizer=str(folders["bart"] / "tokenizer.json"),
                         test_fraction=0.5),
            "task.denoise": "infilling",
        })
    )  # fmt: skip
    read = made.task.eval_step.__wrapped__.args[2]
    example = jax.jit(lambda batch: read(batch, None))(made.batch(0))
    source, target = np.asarray(example.source), np.asarray(example.target)
    assert (source[:, 0] == 0).all()
    assert (target[:, 0] == 0).all()
    assert (target[:, -1] == 2).all()
    assert (source == 4).any(axis=1).all()  # masks
    assert not np.asarray(example.hidden)[:, 0].any()
    assert source.shape[1] <= made.config.model.context


REFUSED = {
    "data.tokenizer": ("", r"config.data.tokenizer='' is not the tokenizer of .*: set it to"),
    "task.tokens": (20, "has positions for 20 tokens, and examples have 21: lower .* by 1"),
    "model": (dict(name="t5"), "config.model.name='t5', but pretrained.source=.* is a BART"),
    "task.generation": (("num_beam=2",), "no setting is called 'num_beam': did you mean"),
    "task.generation ": (("num_beams=2",), "num_beams is config.task.beams"),
    "task.generation  ": (("length_penalty",), "is not 'name=value', such as 'num_beams=4'"),
    "task.generation   ": (("do_sample=true",), "config.task.generation=do_sample=false"),
    "task.generation    ": (("min_p=.1",), "min_p=0.1: texts are not written so here"),
    "task.generation     ": (("pad_token_id=7",), "fills texts by the token 7, and .* by 1"),
    "pretrained.mean": ((0.5,), "config.pretrained.mean=.* has no use of it"),
    "pretrained.source": ("nowhere", "nowhere"),
}


@pytest.mark.parametrize("setting", REFUSED)
def test_what_does_not_fit_is_one_line(setting, folders):
    value, message = REFUSED[setting]
    with pytest.raises(UserError, match=message) as caught:
        experiment.create(asked(folders, "bart", **{setting.strip(): value}))
    assert "\n" not in str(caught.value)


def test_an_encoder_writes_no_texts_and_a_writer_is_no_encoder(folders, tmp_path):
    module = models.create("bert", vocab_size=9, width=8, depth=1, heads=1, context=9)
    variables = jax.jit(module.init)(jax.random.key(0), np.zeros((1, 2), np.int32))
    pretrained.save(module, variables, tmp_path)
    shutil.copy(folders["bart"] / "tokenizer.json", tmp_path)
    with pytest.raises(UserError, match="needs an encoder-decoder of tokens, such as 't5', not"):
        experiment.create(asked({**folders, "bert": tmp_path}, "bert"))
    (tmp_path / "a.csv").write_text("text,label\n" + "red,a\ngreen,b\n" * 9)
    texts = dict(config.default().data, name="labelled_texts", path=str(tmp_path / "a.csv"))
    changed = {"task": dict(name="text_classification"), "data": texts}
    given = asked(folders, "t5", **changed)
    with pytest.raises(UserError, match="model that reads whole texts, such as 'bert', not the T5"):
        experiment.create(given)


def test_entries_are_read_as_they_are_written():
    for settings in SAID.values():
        assert Settings.of(entries.parsed(entries.listed(settings), "x")) == settings
    given = ("early_stopping=never", "eos_token_id=[1, 2]", "do_sample=False", "top_p=.5")
    wanted = dict(early_stopping="never", eos_token_id=[1, 2], do_sample=False, top_p=0.5)
    assert entries.parsed(given, "x") == wanted


def test_a_published_t5_learns_answers_and_goes_out_by_the_launcher(folders, tmp_path, capsys):
    flags = (
        f"--config.pretrained.source={folders['t5']}",
        f"--config.data.tokenizer={folders['t5'] / 'tokenizer.json'}",
        f"--config.data.path={folders['pairs']}",
        *("--config.batch_size=2", "--config.optimizer.layer_decay=.9"),
        "--config.task.generation=repetition_penalty=1.5",
    )
    folder = tmp_path / "run"
    assert run("t5:published", folder, *flags) == 0
    assert run("t5:published", folder, *flags) == 0  # and goes on
    assert f"ended at step {12}" in capsys.readouterr().out
    (tmp_path / "in.txt").write_text("red green\n\nblue\n")
    for mode in (("predict", f"--input={tmp_path / 'in.txt'}"), ("export",)):
        assert launch.main([f"--workdir={folder}", f"--mode={mode[0]}", *mode[1:]]) == 0
    said = [json.loads(line)["written"] for line in (folder / "predictions.jsonl").open()]
    assert len(said) == 3
    assert said[1] == ""
    out = folder / "export"
    same = (out / "tokenizer.json").read_bytes() == (folders["t5"] / "tokenizer.json").read_bytes()
    assert same
    module, variables = pretrained.load(out)
    source = np.array([[5, 6, 1]])
    texts = generate.by_settings(module, variables, pretrained.generation(out), source=source)
    names = [NAMES["t5"][i] if i < len(NAMES["t5"]) else "" for i in np.asarray(texts)[0, 0]]
    assert said[0].split() == " ".join(n for n in names if n not in ("<pad>", "</s>")).split()
