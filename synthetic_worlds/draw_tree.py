"""The picture of the concept tree: which levels a document tells, and what depth of relation is worth."""

import torch
from torch import Tensor

from synthetic_worlds.draw import BLUE, GREY, MOST_GIVEN, ORANGE, draw_words
from synthetic_worlds.exact import Information, concept_log_posterior, log_evidence
from synthetic_worlds.tree import ConceptTree

ROWS = 1024
LEVEL_MARKS = "osD^v<>ph*Xd"


def draw_panels(axes, world: ConceptTree, figures: Information, generator: torch.Generator) -> None:
    """Four panels on ``axes`` (2, 2): words by concept; the posterior of every node after one document; entropy of
    every level as related documents are read; what a document says of one related to it down to each level."""
    concepts = world.sample_concepts(ROWS, generator)
    related = [world.sample_given_concepts(concepts, generator).tokens for _ in range(MOST_GIVEN)]
    draw_words(axes[0, 0], world, generator)
    _draw_posterior(axes[0, 1], world, related[0][:1], int(concepts[0]))
    _draw_levels(axes[1, 0], world, related)
    _draw_depths(axes[1, 1], world, figures, concepts, related[0], generator)


def _places(world: ConceptTree, level: int) -> Tensor:
    """Horizontal places of a level's nodes: above the middle of their leaves."""
    below = world.b ** (world.D - level)
    return (torch.arange(world.b**level) + 0.5) * below - 0.5


def _draw_posterior(axis, world: ConceptTree, document: Tensor, truth: int) -> None:
    path = world.ancestors(torch.tensor([truth]))[0].tolist()
    beliefs = [belief[0].exp() for belief in world.level_log_posteriors([document])]
    for level in range(1, world.D + 1):
        parents = _places(world, level - 1).repeat_interleave(world.b)
        for node, (x, above) in enumerate(zip(_places(world, level).tolist(), parents.tolist(), strict=True)):
            true = path[level] == node
            axis.plot(
                [above, x], [1 - level, -level], color=ORANGE if true else "#cbd5e0", lw=2 if true else 0.8, zorder=1
            )
    size = max(12, min(160, 3000 / world.C))
    for level, belief in enumerate(beliefs):
        height = torch.full(belief.shape, -float(level))
        shown = axis.scatter(
            _places(world, level),
            height,
            c=belief,
            s=size,
            cmap="Blues",
            vmin=0,
            vmax=1,
            edgecolors=GREY,
            lw=0.7,
            zorder=2,
        )
    axis.figure.colorbar(shown, ax=axis, label="p(node | d1)")
    names = ["root", *(f"level {level}" for level in range(1, world.D))]
    axis.set_yticks([-float(level) for level in range(world.D + 1)], [*names, "leaves"])
    axis.set(xlabel="concept", title="What one document tells of each level (orange: true path)")


def _draw_levels(axis, world: ConceptTree, related: list[Tensor]) -> None:
    entropies = [[float(torch.special.entr(p).sum()) for p in _level_priors(world)]]
    for m in range(1, MOST_GIVEN + 1):
        beliefs = world.level_log_posteriors(related[:m])
        entropies.append([float(torch.special.entr(belief.exp()).sum(1).mean()) for belief in beliefs])
    left = torch.tensor(entropies)
    for level in range(1, world.D + 1):
        given_above = left[:, level] - left[:, level - 1]
        label = f"level {level}" + (", its parent known" if level > 1 else "")
        colour = (BLUE, ORANGE, GREY)[(level - 1) % 3]
        axis.plot(given_above, marker=LEVEL_MARKS[level - 1], color=colour, label=label)
    axis.set(xlabel="related documents read", ylabel="entropy of the branch (nats)", ylim=(0, None))
    axis.set_title("Coarse levels are told first")
    axis.legend(frameon=False)


def _level_priors(world: ConceptTree) -> list[Tensor]:
    return [world.prior.reshape(world.b**level, -1).sum(1) for level in range(world.D + 1)]


def _draw_depths(
    axis, world: ConceptTree, figures: Information, concepts: Tensor, d1: Tensor, generator: torch.Generator
) -> None:
    belief, gains, errors = concept_log_posterior(world, d1), [], []
    for depth, certain in enumerate(torch.eye(world.D + 1, dtype=torch.float64)):
        partners = world.related_concepts(concepts, depth, generator)
        d2 = world.sample_given_concepts(partners, generator).tokens
        gain = world.update_belief(world.graded_belief(belief, certain), d2)[1] - log_evidence(world, d2)
        gains.append(float(gain.mean()))
        errors.append(float(gain.std()) / len(gain) ** 0.5)
    axis.bar(range(world.D + 1), gains, yerr=errors, color=BLUE, capsize=4)
    axis.set_xticks(range(world.D + 1), ["0: unrelated", *map(str, range(1, world.D)), f"{world.D}: same concept"])
    axis.set(xlabel="levels of the path that d1 and d2 share", ylabel="what d1 says of d2 (nats)")
    axis.set_title(f"Graded relation: I(d1;d2) = {figures.I_d1_d2:.2f} nats at the full depth")
