"""Where a prediction can be measured, in words where it can't."""

from analysis.predictions.subject import Subject
from synthetic_worlds.world import ConceptWorld


def plain_pairs(subject: Subject) -> str | None:
    """Whether the exact posterior predictive is what the synthesizer should have learnt."""
    return None if subject.plain else "its pairs were not plain related pairs, so it should not be exact Bayes"


def concepts(subject: Subject) -> str | None:
    """Whether the world has finitely many concepts, and more than one."""
    if not isinstance(subject.world, ConceptWorld):
        return f"world {subject.world.name} has no finite set of concepts"
    return None if subject.world.C > 1 else f"world {subject.world.name} has one concept only"


def plain_pairs_and_concepts(subject: Subject) -> str | None:
    """Both."""
    return plain_pairs(subject) or concepts(subject)
