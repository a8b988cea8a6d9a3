"""The narration world's picture: a person, the narrations about them, and what these say."""

import textwrap

import torch

from synthetic_worlds.exact import Information
from synthetic_worlds.narration import Narration
from synthetic_worlds.narration_cloze import accuracy, continuing_questions, expected_accuracy, related_questions
from synthetic_worlds.narration_posterior import attribute_log_posterior, hallucination_floor
from synthetic_worlds.narration_templates import ATTRIBUTES

PERSONS = 600
MOST_GIVEN = 4
BLUE, ORANGE, GREY = "#2b6cb0", "#c05621", "#718096"


def draw_panels(axes, world: Narration, figures: Information, generator: torch.Generator) -> None:
    """Four panels on ``axes`` (2, 2): two narrations about one person; each attribute's posterior after them; how
    often a resampled attribute is wrong; how often exact Bayes answers a cloze question right."""
    concepts = world.sample_concepts(PERSONS, generator)
    related = [world.sample_given_concepts(concepts, generator) for _ in range(MOST_GIVEN)]
    _draw_texts(axes[0, 0], world, [world.texts(documents)[0] for documents in related[:2]], int(concepts[0]))
    _draw_posterior(axes[0, 1], world, [documents.tokens[:1] for documents in related[:2]], concepts[:1])
    _draw_floor(axes[1, 0], world, figures, generator)
    _draw_cloze(axes[1, 1], world, related, generator)


def _draw_texts(axis, world: Narration, texts: list[str], concept: int) -> None:
    axis.axis("off")
    person = world.attributes_of(torch.tensor([concept]))[0].tolist()
    facts = "; ".join(f"{ATTRIBUTES[i].name}: {world.grammar.form(i, value)}" for i, value in enumerate(person))
    paragraphs = [("A person", facts, GREY), *(("A narration (names are changed)", text, "black") for text in texts)]
    height = 1.0
    for heading, text, colour in paragraphs:
        lines = textwrap.wrap(text, 74)
        axis.text(0, height, heading, va="top", weight="bold", fontsize=9, color=BLUE)
        axis.text(0, height - 0.06, "\n".join(lines), va="top", fontsize=9, color=colour)
        height -= 0.13 + 0.055 * len(lines)


def _draw_posterior(axis, world: Narration, documents: list[torch.Tensor], concept: torch.Tensor) -> None:
    """The probability of each true value before, after one and after both narrations."""
    truth = world.attributes_of(concept)
    beliefs = [world.forest.log_marginals(world.prior_belief(1))]
    beliefs += [attribute_log_posterior(world, *documents[:m]) for m in (1, 2)]
    labels = ("before reading", "after the first", "after both")
    for j, (belief, label, colour) in enumerate(zip(beliefs, labels, (GREY, BLUE, ORANGE), strict=True)):
        shares = belief.exp().gather(2, truth[..., None])[0, :, 0]
        axis.barh([i + 0.26 * (j - 1) for i in range(world.A)], shares.numpy(), 0.24, color=colour, label=label)
    names = [f"{ATTRIBUTES[i].name}:\n{world.grammar.form(i, int(truth[0, i]))}" for i in range(world.A)]
    axis.set_yticks(range(world.A), names, fontsize=8)
    axis.set(xlim=(0, 1), ylim=(world.A - 0.5, -0.5), xlabel="p(true value | read), exact")
    axis.set_title("What these two narrations say of that person")
    axis.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1.05), ncols=3)


def _draw_floor(axis, world: Narration, figures: Information, generator: torch.Generator) -> None:
    for documents, colour, offset in ((1, BLUE, -0.18), (MOST_GIVEN, ORANGE, 0.18)):
        floor = hallucination_floor(world, PERSONS, generator, documents)
        shares = [*floor.attributes[:, 0].tolist(), floor.overall[0]]
        errors = [*floor.attributes[:, 1].tolist(), floor.overall[1]]
        label = f"after {documents} narration{'s' if documents > 1 else ''}"
        axis.bar([i + offset for i in range(len(shares))], shares, 0.34, yerr=errors, color=colour, label=label)
    names = [attribute.name for attribute in ATTRIBUTES[: world.A]]
    axis.set_xticks(range(world.A + 1), [*names, "any of them"], rotation=25, ha="right", fontsize=8)
    axis.set(ylim=(0, 1), ylabel="chance that it is wrong")
    axis.set_title(
        f"A person resampled from exact Bayes: the floor of invention\n"
        f"H(c|d1) = {figures.H_c_given_d1:.2f} of {figures.H_c:.2f} nats, I(d1;d2) = {figures.I_d1_d2:.2f}",
        fontsize=11,
    )
    axis.legend(frameon=False)


def _draw_cloze(axis, world: Narration, related: list, generator: torch.Generator) -> None:
    options = min(4, world.K)
    questions = [related_questions(world, related[:m], generator, options) for m in range(1, MOST_GIVEN + 1)]
    means, errors = zip(*(expected_accuracy(some) for some in questions), strict=True)
    reads = range(1, MOST_GIVEN + 1)
    axis.errorbar(reads, means, errors, color=BLUE, marker="o", capsize=3, label="any attribute: expected")
    right = [accuracy(some, [question.best for question in some])[0] for some in questions]
    axis.plot(reads, right, color=BLUE, marker="x", ls="", label="any attribute: answers given")
    if world.L > 1:
        mean, error = expected_accuracy(continuing_questions(world, related[0], generator, options))
        axis.errorbar(
            [1], [mean], [error], color=ORANGE, marker="s", capsize=3, ls="", label="one that the text leaves out"
        )
    axis.axhline(1 / options, color=GREY, ls=":", label="chance")
    axis.set(xlabel="narrations read", ylabel="right answers", ylim=(0, 1.03), xticks=list(reads))
    axis.set_title(f"Exact Bayes on cloze questions with {options} options")
    axis.legend(frameon=False, loc="lower right")
