"""Where a prediction can be measured, in words where it can't."""

from analysis.predictions.subject import Subject
from synthetic_worlds import exact
from synthetic_worlds.world import ConceptWorld


def plain_pairs(subject: Subject) -> str | None:
    """Whether the exact posterior predictive is what the synthesizer should have learnt."""
    return None if subject.plain else "its pairs were not plain related pairs, so it should not be exact Bayes"


def sampled_pairs(subject: Subject) -> str | None:
    """Whether ``subject.pairs`` says all of how its pairs were made, so that their law is known."""
    if subject.tilted is not None:
        return "a rule that looks at the words made its pairs"
    return None if subject.pool is None else "its concepts were a pool drawn from a continuum"


def concepts(subject: Subject) -> str | None:
    """Whether the world has finitely many concepts, and more than one."""
    if not isinstance(subject.world, ConceptWorld):
        return f"world {subject.world.name} has no finite set of concepts"
    return None if subject.world.C > 1 else f"world {subject.world.name} has one concept only"


def informative(subject: Subject) -> str | None:
    """Whether one document says anything of another, as in no null world."""
    d1, d2 = subject.d1[:64], subject.related[:64]
    law, alone = (exact.next_token_log_probs(subject.world, d2, *given) for given in ((d1,), ()))
    says = float((law.exp() - alone.exp()).abs().max())
    return None if says > 1e-9 else "in a null world no document says anything of another"


def informative_concepts(subject: Subject) -> str | None:
    """Plain pairs in a world of concepts that documents tell of: elsewhere what is believed of a concept is the prior,
    a constant of the world that no synthesizer can miss."""
    return plain_pairs(subject) or concepts(subject) or informative(subject)
