"""The comparison of language models: its texts, its tables, and one side as a process."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import sides
from benchmarks.language import __main__ as command
from benchmarks.language import (
    baselines,
    documentation,
    embedding,
    masked,
    ngram,
    page,
    reading,
    rows,
    search,
    side,
    writing,
)
from benchmarks.language.job import Job, Row


def test_sentences_end_where_they_end():
    text = "A title\n\nOne sentence\nhere.  Another, e.g. this one?\n\n   x = 1\n"
    found = list(documentation.sentences(text))
    assert found == ["A title", "One sentence here.", "Another, e.g. this one?", "x = 1"]
    assert [documentation.is_prose(s) for s in (*found, "It is one of these.")] == [
        *[False] * 4, True,
    ]  # fmt: skip


def test_the_same_sentences_for_both_sides():
    texts = documentation.some(300)
    assert texts == documentation.some(300)
    assert len({*texts}) == 300
    assert len({len(text) // 20 for text in texts}) > 5  # lengths as they come


def test_questions_are_not_in_their_answers():
    questions, answers = documentation.asked()
    assert len(questions) == len(answers) > 50
    assert sum(q in a for q, a in zip(questions, answers, strict=True)) < 3


def test_recall_counts_own_answers_that_are_first():
    answers = np.eye(3)
    assert search.recall(answers, answers) == 1
    assert search.recall(answers[[0, 2, 1]], answers) == pytest.approx(1 / 3)


def test_tf_idf_finds_what_shares_rare_words():
    answers = ["the whale swims far", "the lamp is bright", "the road is long"]
    assert search.by_words(["which whale", "a bright lamp", "is it the road"], answers) == 1


def test_rows_have_ours_and_another():
    for row in rows.ROWS.values():
        assert "ours" in row.sides
        assert {*row.plain} <= {*row.sides} - {"ours"} != set()


@pytest.mark.parametrize(
    "agreement, same, other",
    [
        (masked.agreement, [5.0, 4.0, 3.0], [5.0, 4.01, 3.0]),
        (masked.agreement, [5.0, 4.0, 3.0], [5.0001, 4.0, 3.0]),
        (embedding.agreement, [[0.5, 0.5]], [[0.5, 0.50002]]),
        (writing.agreement, [[1, 2, 3]], [[1, 0, 0]]),
    ],
)
def test_what_differs_is_seen(agreement, same, other):
    assert agreement(same, same)[0]
    assert not agreement(same, other)[0]


def test_the_update_is_of_the_published_size():
    sizes = masked.Sizes()
    made = masked.experiment_of(sizes)
    params = made.abstract_state.params
    counts = {name: sum(x.size for x in _leaves(part)) for name, part in params.items()}
    # bert_small without its pooler, and the head: a dense layer, its norm, and a bias a token.
    pooler = sizes.width * (sizes.width + 1)
    assert sum(counts.values()) - counts["head"] == 28_763_648 - pooler
    assert counts["head"] == pooler + 2 * sizes.width + sizes.vocabulary
    assert made.batch(0)["tokens"].shape == (16, 127)
    assert made.batch(0)["tokens"].min() >= 104


def _leaves(tree):
    import jax

    return jax.tree.leaves(tree)


def _row(_):
    return Job(run=lambda: np.arange(3.0), check=None)


def test_a_side_tells_what_it_took_and_keeps_what_it_made(tmp_path, monkeypatch):
    monkeypatch.setitem(rows.ROWS, "counting", Row("", {"ours": _row}, masked.agreement))
    options = SimpleNamespace(row="counting", side="ours", folder=str(tmp_path))
    serve = side.Serve(options)
    assert serve.first()["seconds"] >= 0
    assert json.loads((tmp_path / "ours.json").read_text()) == [0, 1, 2]
    told = serve.run()
    assert {*told} == {"seconds", "processor", "memory"}
    assert {*serve.about()} == {"jax"}


def test_what_is_short_is_done_as_often_as_fills_a_turn(monkeypatch):
    now = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: 2 * now[0])
    monkeypatch.setattr(side, "time", clock)
    monkeypatch.setattr(side, "_TURN", 1.0)
    serve = side.Serve(SimpleNamespace())
    for takes, times in ((0.25, 4), (3.0, 1)):
        ran = []
        serve._job = Job(run=lambda ran=ran, takes=takes: ran.append(now.append(now.pop() + takes)))
        told = serve.run()
        assert len(ran) == 1 + times  # the first is not counted
        assert (told["seconds"], told["processor"]) == (takes, 2 * takes)


ECHO = """
import json, sys
for line in sys.stdin:
    order = json.loads(line)["do"]
    if order == "first":
        open(sys.argv[1], "w").write("[[1, 2]]")
    if order == sys.argv[2]:
        print(json.dumps({"error": "no"}), flush=True)
    else:
        told = {"seconds": float(sys.argv[3]), "processor": 1.0, "memory": 1e8 * float(sys.argv[3])}
        print(json.dumps(told), flush=True)
"""


def _compared(monkeypatch, fails=""):
    """A comparison of sides that do nothing: ours says 1 second, theirs 2."""

    class Process(sides.Process):
        def __init__(self, name, command, env):
            folder = next(c for c in command if c.startswith("--folder="))[9:]
            seconds, fail = ("1", "") if name == "ours" else ("2", fails)
            argv = [sys.executable, "-S", "-c", ECHO, f"{folder}/{name}.json", fail, seconds]
            super().__init__(name, argv, env)

    monkeypatch.setattr(sides, "Process", Process)
    sides_ = dict.fromkeys(("eager", "compile", "ours", "other"), _row)
    row = Row("A title", sides_, writing.agreement, ("eager", "compile"), ("other",))
    monkeypatch.setitem(rows.ROWS, "t", row)
    options = SimpleNamespace(
        rounds=2, threads=1, minilm="", torch_python=sys.executable, without=["compile"]
    )
    return command.compare("t", options)


def test_a_comparison_and_its_table(monkeypatch):
    found = _compared(monkeypatch)
    assert found["ratio"]["median"] == 2
    assert found["cpu"]["ratio"]["median"] == 1
    assert page.told(found) == (
        "2.00 [2.00, 2.00], of processor time 1.00 [1.00, 1.00]; 100% of tokens the same, "
        "100% of tokens the same"
    )
    about = {"processor": "P", "cores": 1, "jax": {"jax": "0"}}
    about["torch"] = {"torch": "2", "threads": 1, "transformers": "5"}
    searched = {"topics": 9, "ours": 0.5, "tfidf": 0.25}
    text = page.table({"about": about, "workloads": {"float32": {"t": found, "search": searched}}})
    assert "torch 2 with 1 threads, transformers 5" in text
    assert (
        "| A title | 1.000 | 2.000, 2.000 (other, 2.00 of ours, 1.00 of processor time) | "
        "**2.00** [2.00, 2.00] | **1.00** [1.00, 1.00] | 1.0, 2.0 | 100, 200, – | **0.50** | "
        "100% of tokens the same, 100% of tokens the same |" in text
    )
    assert "TF-IDF of all words 0.250." in text
    assert "MiniLM finds 0.500 at the first place" in text


def test_a_side_that_fails_is_left_out(monkeypatch):
    found = _compared(monkeypatch, fails="run")
    assert "ratio" not in found
    assert found["without"] == {"eager": "eager: no", "other": "other: no"}


@pytest.mark.parametrize("flag, says", [("--row=cheese", "no row 'cheese'"), ("--rounds=0", "at")])
def test_flags_that_mean_nothing(flag, says, capsys):
    with pytest.raises(SystemExit):
        command.main([flag])
    assert says in capsys.readouterr().err


# What figures are compared with


def test_the_likeliest_byte_is_by_what_stands_on_both_sides_of_it():
    train = np.frombuffer(b"abcdefgh" * 8 + b"abcdxfgh" + b"....efgh" * 3, np.uint8)
    text = np.frombuffer(b"abcd?fgh....?fgh", np.uint8).copy()
    found = baselines.likeliest(train, text, np.array([4]))
    assert bytes(found.tolist()) == b"e"
    # Each candidate by its own probability and those of the four behind it.
    wanted = []
    for byte in np.unique(train):
        text[4] = byte
        wanted.append(ngram.nats(train, text[:9], 4)[4:].sum())
    assert np.unique(train)[np.argmin(wanted)] == found[0]


def test_a_heads_pieces_are_counted_from_both_ends_and_behind_marks():
    found = baselines.pieces("pop(self, index=-1): Remove and return an item.")
    assert found["", 0] == found["", -4] == "pop"
    assert found["(", 0] == "self"
    assert found[",", 0] == found[",", -1] == "index"
    assert found["=", 0] == found["", -1] == "-1"
    assert found["purpose", 0] == "Remove and return an item."


def test_rules_take_what_the_training_part_mostly_has():
    question = lambda asked, text, *answers: SimpleNamespace(
        question=asked, context=text, answers=[SimpleNamespace(text=a) for a in answers]
    )
    part = lambda *questions: SimpleNamespace(questions=questions)
    train = part(
        question("a?", "f(x): Do.", "x"),
        question("a?", "g(x): Do.", "x"),
        question("b?", "h(): Be."),
    )
    test = part(question("a?", "k(y): Do.", "y"), question("b?", "m(z): Do."))
    found = baselines.answer(SimpleNamespace(train=train, test=test))
    # Where nothing is right, no piece is better than another: m is said, and wrong.
    assert found == {"commonest": 0.5, "pieces": 0.5}
    sentence = lambda *pairs: SimpleNamespace(
        words=[word for word, _ in pairs], tags=[tag for _, tag in pairs]
    )
    of = lambda *sentences: SimpleNamespace(sentences=sentences)
    learned = of(
        sentence(("def", "O"), ("x", "B-F")), sentence(("x", "B-V"), ("=", "O")),
        sentence(("x", "B-V"), (".", "O")),
    )  # fmt: skip
    measured = of(sentence(("def", "O"), ("x", "B-F")), sentence(("def", "O"), ("y", "B-F")))
    found = baselines.tag(SimpleNamespace(train=learned, test=measured))
    # By the word alone x is a V, and y nothing; behind def both are an F.
    assert found == {"word": 0.0, "neighbours": 1.0}


def test_what_a_token_reads_is_the_decoder_without_what_is_there_once():
    squares = lambda width, hidden: 6 * width**2 + 2 * width * hidden
    t5 = 6 * (squares(512, 2048) + 3 * 512) + 512 + 32128 * 512
    assert reading.weights("t5_small") == t5
    biases = 6 * 768 + 3072 + 768 + 3 * 2 * 768
    bart = 6 * (squares(768, 3072) + biases) + 2 * 768 + 50265 * 768
    assert reading.weights("bart_base") == bart
    assert 1e8 < reading.rate(1, megabytes=8) < 1e13
