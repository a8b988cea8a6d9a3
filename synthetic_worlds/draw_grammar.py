"""The picture of the concept-tilted grammar: one derivation, and the concepts' rules."""

import torch
from torch import Tensor

from synthetic_worlds.draw import GREY, MOST_GIVEN, draw_contraction, draw_gain
from synthetic_worlds.exact import Information
from synthetic_worlds.grammar import ConceptGrammar

ROWS = 512


def draw_panels(axes, world: ConceptGrammar, figures: Information, generator: torch.Generator) -> None:
    """Four panels on ``axes`` (2, 2): the derivation of one document; rule probabilities by concept; how fast related
    documents reveal the concept on average; what one document says of the next, word by word."""
    documents = world.sample(ROWS, generator)
    concepts = documents.latents["concept"]
    others = [world.sample_given_concepts(concepts, generator).tokens for _ in range(MOST_GIVEN - 1)]
    related = [documents.tokens, *others]
    symbols, covered = (documents.latents[name][0].tolist() for name in ("symbols", "covered"))
    _draw_derivation(axes[0, 0], world, symbols, covered, documents.tokens[0])
    _draw_rules(axes[0, 1], world)
    draw_contraction(axes[1, 0], world, figures, concepts, related)
    draw_gain(axes[1, 1], world, figures, related)


def _draw_derivation(axis, world: ConceptGrammar, symbols: list[int], covered: list[int], tokens: Tensor) -> None:
    """Symbols above the middle of the words they cover, in the colour of the symbol; the words at the bottom."""
    import matplotlib

    colours = matplotlib.colormaps["tab10"]
    mark = {"ha": "center", "va": "center", "fontsize": 9, "color": "white", "zorder": 2}

    def draw_symbol(place: int, first: int) -> tuple[int, float, int]:
        """Draw a subtree; the next place in the lists, where its root is, and how high it reaches."""
        symbol, n = symbols[place], covered[place]
        if n == 1:
            x, top, following, children = float(first), 1, place + 1, []
            axis.plot([x, x], [0.35, 1], color=GREY, lw=1, zorder=1)
            axis.text(x, 0, int(tokens[first]), ha="center", va="center", fontsize=9)
        else:
            middle, left, low = draw_symbol(place + 1, first)
            following, right, high = draw_symbol(middle, first + covered[place + 1])
            x, top, children = (left + right) / 2, 1 + max(low, high), [(left, low), (right, high)]
        for child, child_top in children:
            axis.plot([x, child], [top, child_top], color=GREY, lw=1, zorder=1)
        box = {"boxstyle": "circle,pad=0.25", "fc": colours(symbol % 10), "ec": "none"}
        axis.text(x, top, symbol, bbox=box, **mark)
        return following, x, top

    _, _, top = draw_symbol(0, 0)
    axis.set(xlim=(-1, world.L), ylim=(-0.7, top + 0.7), xticks=[], yticks=[])
    axis.set_frame_on(False)
    axis.set_xlabel("words of one document")
    axis.set_title("A derivation: symbols in circles, rewritten down to words")


def _draw_rules(axis, world: ConceptGrammar) -> None:
    image = axis.imshow(world.rules.flatten(1).numpy(), aspect="auto", cmap="Blues", vmin=0, interpolation="nearest")
    axis.figure.colorbar(image, ax=axis, label="probability of the rule")
    for symbol in range(1, world.N):
        axis.axvline(symbol * world.N**2 - 0.5, color=GREY, lw=0.8, ls=":")
    axis.set_xticks([(symbol + 0.5) * world.N**2 - 0.5 for symbol in range(world.N)], range(world.N))
    axis.set(xlabel=f"rules, {world.N**2} for each symbol that is rewritten", ylabel="concept")
    axis.set_title("How often each concept uses each rule")
