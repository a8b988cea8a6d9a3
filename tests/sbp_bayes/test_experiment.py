from pathlib import Path

import pytest

from sbp_bayes.errors import UserError
from sbp_bayes.experiment import as_tables, describe_keys, experiment_from, identity_of, load_experiment, load_tables
from sbp_bayes.sweep import cells_of

MINIMAL = '[corpus.world]\nname = "bow"\n'


def write(folder: Path, text: str) -> Path:
    file = folder / "mine.toml"
    file.write_text(text)
    return file


def test_two_lines_are_an_experiment(tmp_path):
    config = load_experiment(write(tmp_path, MINIMAL))
    assert (config.name, config.corpus.source, config.corpus.options) == ("mine", "world", {"name": "bow"})
    assert experiment_from(as_tables(config)) == config


def test_overrides_reach_nested_keys_and_sources(tmp_path):
    file = write(tmp_path, MINIMAL)
    config = load_experiment(file, ["corpus.world.overlap=0.8", "seeds=[4]", "training.epochs=3", "name=other"])
    assert config.corpus.options == {"name": "bow", "overlap": 0.8}
    assert (config.seeds, config.training.epochs, config.name) == ([4], 3.0, "other")


def test_a_path_takes_the_place_of_another_source(tmp_path):
    config = load_experiment(write(tmp_path, "[corpus.lexicon]\n"), ["corpus.path=mine"])
    assert (config.corpus.source, config.corpus.options) == ("text", {"path": "mine"})


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epoch=2", "did you mean training.epochs"),
        ("training.epochs=-1", "at least 0"),
        ("training.epochs=0", "more than 0"),
        ("training.epochs=nan", "expected a finite number"),
        ("training.epochs=inf", "expected a finite number"),
        ("corpus.world.overlap=nan", "corpus.world.overlap = nan"),
        ("seeds=[9223372036854775808]", "below 2"),
        ("name=stages", "plain folder name"),
        ("name=.locks", "plain folder name"),
        ("training.epochs=true", "expected float"),
        ("training.schedule=linear", "one of cosine, constant, wsd"),
        ("corpus.wrld.name=bow", "corpus.wrld"),
        ("corpus.oracle=10", "corpus.oracle = 10"),
        ('arms.names=["sbp", "spb"]', 'unknown arm "spb"'),
        ("seeds=[1, 1]", "none twice"),
        ("seeds=[]", "at least one seed"),
        ("seeds=3", "expected list"),
        ('seeds=["a"]', "list of int"),
        ("pairing=3", "expected a table"),
        ("name=a/b", "plain folder name"),
        ("training.epochs", "expected KEY=VALUE"),
        ("name.x=3", "is a value, not a table"),
    ],
)
def test_wrong_keys_and_values_are_named(tmp_path, override, expected):
    with pytest.raises(UserError, match=expected.replace("[", r"\[")) as caught:
        load_experiment(write(tmp_path, 'name = "n"\n' + MINIMAL), [override])
    assert "\n" not in str(caught.value)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.toml"):
        load_experiment(tmp_path / "absent.toml")
    with pytest.raises(UserError, match="not valid TOML"):
        load_experiment(write(tmp_path, "name = \n"))
    with pytest.raises(UserError, match="one source table"):
        load_experiment(write(tmp_path, 'name = "x"\n'))


def test_every_key_says_what_it_means():
    described = list(describe_keys())
    assert len(described) > 40
    assert all(meaning for _, _, meaning in described)


@pytest.mark.parametrize("file", sorted(Path(__file__).parents[2].glob("experiments/*.toml")), ids=lambda f: f.stem)
def test_shipped_experiments_load(file):
    tables = load_tables(file)
    assert tables["name"] == file.stem
    configs = [cell.config for cell in cells_of(tables, file.stem)] if "sweep" in tables else [load_experiment(file)]
    assert configs


def test_a_key_added_later_names_a_stage_only_when_it_is_set():
    plain = as_tables(experiment_from({"name": "a", "corpus": {"world": {"name": "bow"}}}))
    assert "wrong" in plain["pairing"]
    assert "wrong" not in identity_of(plain)["pairing"]
    noisy = as_tables(experiment_from({"name": "a", "corpus": {"world": {"name": "bow"}}, "pairing": {"wrong": 0.1}}))
    assert identity_of(noisy)["pairing"]["wrong"] == 0.1
    assert identity_of(plain)["pairing"]["alpha"] == 0.3


def test_an_unknown_embedder_is_named_with_those_that_exist():
    tables = {"name": "a", "corpus": {"world": {"name": "bow"}}, "pairing": {"rule": "similarity", "embedder": "glove"}}
    offered = "tfidf, base-model, minilm, sentence-transformers:NAME, concept-posterior"
    with pytest.raises(UserError, match=rf'embedder = "glove": expected one of {offered}'):
        experiment_from(tables)
