"""The worlds by name, and `make_world`, which makes one from a preset and dials."""

from importlib.metadata import entry_points

from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.dials import WorldError, resolve_dials
from synthetic_worlds.gaussian import LinearGaussian
from synthetic_worlds.grammar import ConceptGrammar
from synthetic_worlds.hmm import ConceptHMM
from synthetic_worlds.lda import LatentDirichlet
from synthetic_worlds.narration import Narration
from synthetic_worlds.polya import DirichletMultinomial
from synthetic_worlds.style import ConceptStyle
from synthetic_worlds.tree import ConceptTree
from synthetic_worlds.world import Process

WORLDS: dict[str, type[Process]] = {
    world.name: world
    for world in (
        BagOfWords,
        DirichletMultinomial,
        LatentDirichlet,
        ConceptHMM,
        ConceptStyle,
        ConceptTree,
        Narration,
        ConceptGrammar,
        LinearGaussian,
    )
}
PRESETS: dict[str, dict[str, dict[str, float]]] = {
    name: {preset: dict(settings) for preset, settings in world.PRESETS.items()} for name, world in WORLDS.items()
}
PLUGIN_GROUP = "synthetic_worlds.worlds"


def world_class(name: str) -> type[Process]:
    """The world called ``name``: ours, or one that another package declares in the entry points `PLUGIN_GROUP`."""
    if name in WORLDS:
        return WORLDS[name]
    plugins = {plugin.name: plugin for plugin in entry_points(group=PLUGIN_GROUP)}
    if name in plugins:
        return plugins[name].load()
    raise WorldError(f"unknown world {name!r}; there are {', '.join([*WORLDS, *plugins])}")


def make_world(name: str, preset: str | None = None, seed: int = 0, **dials: float) -> Process:
    """The world ``name`` with a preset's dials (or the defaults), ``dials`` set over them, parameters from ``seed``.

    Raises WorldError, a ValueError of one line, for an unknown world, preset or dial and for a value out of range.
    """
    world = world_class(name)
    if preset is not None and preset not in world.PRESETS:
        raise WorldError(f"world {name} has no preset {preset!r}; it has {', '.join(world.PRESETS)}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise WorldError(f"world {name}: seed={seed!r}; expected a whole number, 0 or more")
    settings = {**(world.PRESETS[preset] if preset else {}), **dials}
    return world.from_dials(resolve_dials(name, world.DIALS, settings), seed)
