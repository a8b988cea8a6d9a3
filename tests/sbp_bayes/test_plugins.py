import sys
from pathlib import Path

import pytest

from sbp_bayes import plugins
from sbp_bayes.errors import UserError

GROUP = "sbp_bayes.test_plugins"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package on the path that offers three plugins, one of them broken."""
    (tmp_path / "toolbox.py").write_text("class Hammer:\n    weight = 3\n")
    info = tmp_path / "toolbox-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toolbox\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{GROUP}]\nhammer = toolbox:Hammer\nsaw = toolbox:Saw\ndrill = no_such_module:Drill\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    plugins._group.cache_clear()
    yield Path(tmp_path)
    plugins._group.cache_clear()
    sys.modules.pop("toolbox", None)


def test_plugins_load_by_name(installed):
    assert plugins.names(GROUP) == ["drill", "hammer", "saw"]
    assert plugins.load(GROUP, "hammer").weight == 3


def test_an_unknown_name_lists_those_that_exist(installed):
    with pytest.raises(UserError, match=r"'axe' is no plugin .*drill, hammer, saw"):
        plugins.load(GROUP, "axe")
    with pytest.raises(UserError, match="none is installed"):
        plugins.load("sbp_bayes.no_such_group", "axe")


def test_a_plugin_that_cannot_be_loaded_is_named(installed):
    with pytest.raises(UserError, match=r"'drill' .*no_such_module"):
        plugins.load(GROUP, "drill")
    with pytest.raises(UserError, match=r"'saw' .*toolbox:Saw"):
        plugins.load(GROUP, "saw")


def test_our_own_sources_are_registered():
    assert {"world", "text", "lexicon"} <= set(plugins.names("sbp_bayes.sources"))
    assert plugins.load("sbp_bayes.sources", "text").__name__ == "TextSource"
