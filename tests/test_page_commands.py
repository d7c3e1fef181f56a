"""README and docs/: every command is one that the programs take."""

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tiny
from launching import ROOT, SHORT
from PIL import Image

from jaxdl import launch
from jaxdl.launch import flags

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Files that pages speak of and that a reader would have: as this experiment is.
OWN_FILES = {
    **{"my_gpt.py": "gpt", "my_tagger.py": "bert", "spirals.py": "mlp"},
    **{"NAME.py": "mlp", "waves.py": "mlp"},  # docs/extending.md makes the last of these
}


def text_of(page: Path) -> str:
    return page.read_text()


def commands(page: Path) -> list[list[str]]:
    """The words of every command in the page's bash blocks, and of those within its sentences."""
    text = text_of(page)
    blocks = re.findall(r"```(?:bash)?\n(.*?)```", text, re.S)
    blocks += re.findall(r"^(?:    |> )(python .*(?:\\\n.*)*)$", text, re.M)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    lines += [" ".join(found.split()) for found in re.findall(r"`(python -m [^`]+)`", prose)]
    found = []
    for line in lines:
        if re.match(r"\s*(python -m|pip install)", line):
            words = shlex.split(line, comments=True)
            parts, one = [], []
            for word in [*words, "&&"]:
                if word in ("&&", ";", "|"):
                    parts.append(one)
                    one = []
                else:
                    one.append(word)
            found += [part for part in parts if part]
    return found


ALL = [(page, words) for page in PAGES for words in commands(page)]
LAUNCHED = [words[3:] for _, words in ALL if words[1:3] == ["-m", "jaxdl.launch"]]
OTHERS = [
    words[2:]
    for _, words in ALL
    if words[:2] == ["python", "-m"] and words[2].startswith("benchmarks.")
]
EXTRAS = {
    extra
    for _, words in ALL
    if words[0] == "pip"
    for word in words
    for extra in re.findall(r"\w+", "".join(re.findall(r"\[(.*)\]", word)))
}


def trained(argv: list[str]) -> str:
    """The key of `tiny.FLAGS` for a command that trains on data that are at hand; "" of others."""
    if any(re.search(r"path=|source=|\.jpg|--mode=|gymna", word) for word in argv):
        return ""
    name = str(flags.by_name(argv).get("config", "")).removeprefix("experiments/")
    names = (name.replace(".py", ""), name.partition(".py")[0])
    return next((one for one in names if one in tiny.FLAGS), "")


# Those that change more than where the run is; others are what each experiment's own test runs.
CHANGED = {
    " ".join(argv): argv
    for argv in LAUNCHED
    if trained(argv) and any(word.startswith("--config.") for word in argv)
}


# What a reader has, as the pages call it.
READERS_OWN = {
    *("photos/*.jpg", "photo.jpg", "holiday/*.jpg", "scans/*.png", "my/images"),
    *("houses.csv", "rows.csv", "new.csv"),
}


def runs_used(launched: list[list[str]]) -> list[list[str]]:
    """The commands that learn from `READERS_OWN`, and those that use a run, each behind its run.

    Runs of which no page says how they are made, and commands that need other files, are left out.
    """
    value = lambda argv, name: next(
        (word.split("=", 1)[1] for word in argv if word.split("=", 1)[0] == f"--{name}"), ""
    )
    makes = lambda argv: value(argv, "config") and not value(argv, "mode")
    files = lambda argv: {value(argv, "config.data.path"), value(argv, "input")} - {""}
    own = [
        argv
        for argv in launched
        if files(argv) <= READERS_OWN
        and value(argv, "mode") in ("", "evaluate", "predict", "sample", "export")
        and not re.search(r"source=|gymna|my_gpt|NAME|waves|spirals|preferences", " ".join(argv))
    ]
    made = {value(argv, "workdir"): argv for argv in reversed(own) if makes(argv)}
    uses = [argv for argv in own if value(argv, "mode") and value(argv, "workdir") in made]
    learn = [argv for argv in own if makes(argv) and files(argv)]
    learn += [made[value(argv, "workdir")] for argv in uses]
    once = lambda commands: list({" ".join(argv): argv for argv in commands}.values())
    return [*once(learn), *once(uses)]


def reader(home: Path) -> None:
    """Writes `READERS_OWN`."""
    draw = np.random.default_rng(0)
    picture = lambda: Image.fromarray(draw.integers(0, 256, (40, 40, 3), np.uint8))
    pictures = ["photo.jpg", "photos/1.jpg", "holiday/1.jpg", "scans/1.png"]
    pictures += [f"my/images/{kind}/{i}.png" for kind in ("cat", "dog") for i in range(20)]
    for name in pictures:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        picture().save(home / name)
    table = lambda names, rows: "".join(",".join(map(str, row)) + "\n" for row in [names, *rows])
    size, rooms = draw.integers(20, 200, 80), draw.integers(1, 9, 80)
    houses = zip(range(80), size, rooms, 3 * size + rooms, strict=True)
    (home / "houses.csv").write_text(table(("id", "size", "rooms", "price"), houses))
    (home / "new.csv").write_text(table(("rooms", "size"), [(3, 70), (5, 120)]))
    rows = [(*draw.random(2).round(3), *draw.integers(0, 2, 3)) for _ in range(80)]
    (home / "rows.csv").write_text(table(("heat", "wind", "wet", "cold", "stays"), rows))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder like a reader's: experiments/ is there, and files of the reader's own."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "experiments").mkdir()
    for file in (ROOT / "experiments").glob("*.py"):
        (folder / "experiments" / file.name).symlink_to(file)
    for name, like in OWN_FILES.items():
        for where in (folder, folder / "experiments"):
            (where / name).symlink_to(ROOT / "experiments" / f"{like}.py")
    return folder


def test_pages_have_commands():
    assert len(LAUNCHED) > 80
    assert len(OTHERS) > 20


def test_commands_of_the_launcher_are_taken(home, monkeypatch):
    monkeypatch.chdir(home)
    wrong = []
    for argv in LAUNCHED:
        try:
            flags.parse(argv)
        except Exception as error:
            wrong.append((argv, error))
    assert not wrong


@pytest.mark.slow("jaxdl/launch/", "jaxdl/config/", "experiments/", "docs/", "README.md")
def test_commands_that_change_settings_train(home, tmp_path, monkeypatch):
    monkeypatch.chdir(home)
    assert len(CHANGED) > 6
    failed = []
    for place, argv in enumerate(CHANGED.values()):
        config, *own = [
            word for word in argv if not word.startswith(("--workdir=", "--config.epochs="))
        ]
        named = {word.partition("=")[0] for word in own}
        small = [word for word in tiny.FLAGS[trained(argv)] if word.partition("=")[0] not in named]
        few = ["--config.population=2"] * ("--config.population" in named)
        workdir = f"--workdir={tmp_path / str(place)}"
        if launch.main([config, *SHORT, *small, *own, *few, workdir]) != 0:
            failed.append(argv)
    assert not failed


@pytest.mark.slow("jaxdl/launch/", "jaxdl/inference/", "experiments/", "docs/", "README.md")
def test_commands_that_use_runs_and_a_readers_own_files_do(home, monkeypatch):
    monkeypatch.chdir(home)
    reader(home)
    chosen = runs_used(LAUNCHED)
    modes = [word for argv in chosen for word in argv if word.startswith("--mode=")]
    assert {*modes} == {"--mode=evaluate", "--mode=predict", "--mode=sample", "--mode=export"}
    failed = []
    for argv in chosen:
        small, name = [], str(flags.by_name(argv).get("config", ""))
        if name:
            small = [*SHORT, *tiny.FLAGS[name.removeprefix("experiments/").replace(".py", "")]]
        few = ["--config.population=1"] * any("--config.sweep=" in word for word in argv)
        if launch.main([*small, *argv, *few]) != 0:
            failed.append(argv)
    assert not failed
    assert np.load("runs/vit/embeddings.npy").shape[0] == 1
    assert len(Path("runs/prices/predictions.jsonl").read_text().splitlines()) == 2


def test_experiments_that_pages_name_are_there(monkeypatch):
    monkeypatch.chdir(ROOT)
    named = {
        name
        for page in PAGES
        for name in re.findall(r"experiments/\w+\.py(?::[\w/]+)?", text_of(page))
        if not name.startswith(("experiments/my_", "experiments/waves", "experiments/NAME"))
    }
    assert len(named) > 60
    for name in sorted(named):
        flags.parse([f"--config={name}"])


@pytest.mark.parametrize("words", OTHERS, ids=" ".join)
def test_other_programs_are_there_with_their_flags(words):
    module, *argv = words
    spec = importlib.util.find_spec(module)
    assert spec is not None
    sources = "".join(
        file.read_text()
        for folder in {
            Path(spec.origin).parent,
            ROOT / "benchmarks",
        }
        for file in folder.glob("*.py")
    )
    for word in argv:
        if word.startswith("--") and not word.startswith("--config"):
            name = word[2:].partition("=")[0]
            assert re.search(rf"""["'](?:--)?{name}["'=]""", sources), word


def test_extras_are_those_of_the_project():
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert len(EXTRAS) >= 3
    assert known.keys() >= EXTRAS


def test_the_readmes_population_trains(home, tmp_path, monkeypatch):
    monkeypatch.chdir(home)
    (argv,) = (a for a in commands(ROOT / "README.md") if "--config.population=32" in a)
    small = ("--config.population=2", "--config.model.hidden=8", f"--workdir={tmp_path / 'seeds'}")
    assert launch.main([*argv[3:], *SHORT, *small]) == 0
    assert (tmp_path / "seeds" / "summary.json").exists()
