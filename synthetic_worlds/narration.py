"""W7: a concept is a person's attributes; a document is a short narration in English that mentions some of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from synthetic_worlds import narration_text
from synthetic_worlds.categorical import check_distributions, zipf_prior
from synthetic_worlds.dials import Dial
from synthetic_worlds.narration_grammar import Grammar
from synthetic_worlds.narration_pyro import pyro_document
from synthetic_worlds.narration_templates import ASIDES, ATTRIBUTES
from synthetic_worlds.narration_tree import Forest
from synthetic_worlds.world import CHUNK_ELEMENTS, Documents, World, WorldError

MOST_ENUMERATED = 2**16
NAMES_IN_ORDER = [attribute.name for attribute in ATTRIBUTES]


class Symbols(NamedTuple):
    """Sentence symbols taken apart, each (B, L): of an aside attribute, value and template mean nothing.

    slot: attribute, or number of attributes + aside; no slot may come twice in a document."""

    is_fact: Tensor
    slot: Tensor
    attribute: Tensor
    value: Tensor


@dataclass(frozen=True, eq=False)
class Narration(World):
    """a ~ forest of attributes; d = sentences on distinct attributes, with asides, each true or a chance report.

    transition: (A, K, K) p(a_i = k | a_parent(i) = j), all rows of a root the same; values: (A, K) int64, which values
    of `narration_templates` are in use; sentences: L; templates: T; misreport and asides: rates.
    Tokens are sentence symbols: (attribute * K + value) * T + template, then the asides.
    """

    name = "narration"
    version = 1
    title = "Entity-attribute narration in English (W7)"
    text = """\
A concept is a person: one value for each attribute (profession, employer, city, university, birthplace, hobby, ...),
with correlations along a tree: employer and university depend on profession, city on employer, and so on:
    p(a) = prod_i p(a_i | a_parent(i)),  p(a_i = k | j) = correlation * [k = f_i(j)] + (1 - correlation) / K
A document is `sentences` sentences about that person. Each is, with probability `asides`, a remark that says nothing of
the attributes, else a mention of an attribute not mentioned yet, all equally likely:
    reported value v ~ (1 - misreport) [v = a_i] + misreport / K,   template ~ Uniform(templates)
Nothing comes twice. A token is a sentence symbol (attribute, value, template) or an aside; text and symbols, with the
first name and where it stands in place of the pronoun, determine each other: parsing gives a text's exact likelihood.
Names are changed for each document, as newspapers do, so that they say nothing of who it is about.
Related documents are about the same person. Exact Bayes by messages on the tree (never listing the K ** A persons):
    evidence_i(k) = sum of log((1 - misreport) [v = k] + misreport / K) over the reports v of attribute i
    p(a | d1, ..., dm) is proportional to p(a) exp(sum_i evidence_i(a_i))
At misreport 1 reports have nothing to do with the person and one document says nothing of another.
Cost: A * K^2 a document for evidence and posterior, L * (A * K^2 + V) for the predictive at every sentence."""
    DIALS = (
        Dial("misreport", 0.21, 0.0, 1.0, "chance that a mention is a random value whatever the truth"),
        Dial("attributes", 6, 1, len(ATTRIBUTES), f"attributes A, the first of: {', '.join(NAMES_IN_ORDER)}"),
        Dial("values", 5, 2, 12, "values K of each attribute; the seed chooses which"),
        Dial("sentences", 6, 1, len(ATTRIBUTES), "sentences a document, L, at most as many as attributes"),
        Dial("asides", 0.1, 0.0, 0.9, "chance that a sentence is a remark without facts"),
        Dial("templates", 12, 1, 12, "ways T to say each fact"),
        Dial("correlation", 0.75, 0.0, 1.0, "how far an attribute's parent in the tree determines it"),
        Dial("zipf", 0.0, 0.0, 3.0, "prior of the k-th profession is proportional to k ** -zipf; 0 is uniform"),
    )
    PRESETS: ClassVar = {
        "easy": {"misreport": 0.04},
        "medium": {"misreport": 0.21},
        "hard": {"misreport": 0.5},
        "null": {"misreport": 1.0},
    }

    transition: Tensor
    values: Tensor
    sentences: int
    templates: int
    misreport: float
    asides: float
    dials: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        check_distributions(self.name, {"transition": self.transition})
        if self.sentences > self.A:
            raise WorldError(f"world {self.name}: sentences={self.sentences}: expected at most attributes={self.A}")

    @classmethod
    def from_dials(cls, dials: Mapping[str, float], seed: int) -> Self:
        random = np.random.default_rng(seed)
        count, K = dials["attributes"], dials["values"]
        choices = [random.permutation(len(attribute.values))[:K] for attribute in ATTRIBUTES]
        images = [torch.from_numpy(random.permutation(K)) for _ in ATTRIBUTES]
        transition = torch.stack(
            [
                dials["correlation"] * one_hot(images[i], K).double() + (1 - dials["correlation"]) / K
                if ATTRIBUTES[i].parent
                else zipf_prior(K, dials["zipf"]).expand(K, K)
                for i in range(count)
            ]
        )
        values = torch.from_numpy(np.stack(choices[:count]))
        law = (dials["sentences"], dials["templates"], dials["misreport"], dials["asides"])
        return cls(transition, values, *law, dials, seed)

    @property
    def A(self) -> int:
        """Number of attributes."""
        return len(self.transition)

    @property
    def K(self) -> int:
        """Number of values of each attribute."""
        return self.transition.shape[2]

    @property
    def V(self) -> int:
        return self.A * self.K * self.templates + len(ASIDES)

    @property
    def L(self) -> int:
        return self.sentences

    @property
    def C(self) -> int:
        """Number of assignments of values to attributes, likely or not."""
        return self.K**self.A

    @property
    def log_C(self) -> float:
        return float(self.A * np.log(self.K))

    @property
    def chunk(self) -> int:
        return max(1, CHUNK_ELEMENTS // (self.L * max(self.V, self.A * self.K**2)))

    @cached_property
    def forest(self) -> Forest:
        """The prior over persons."""
        parents = (NAMES_IN_ORDER.index(a.parent) if a.parent else -1 for a in ATTRIBUTES[: self.A])
        return Forest(tuple(parents), self.transition.log())

    @cached_property
    def grammar(self) -> Grammar:
        """The sentences in use."""
        return Grammar(tuple(map(tuple, self.values.tolist())), self.templates)

    @cached_property
    def log_report(self) -> Tensor:
        """(K, K) log p(reported value | true value), symmetric."""
        return ((1 - self.misreport) * torch.eye(self.K, dtype=torch.float64) + self.misreport / self.K).log()

    @cached_property
    def prior(self) -> Tensor:
        """(C,) probability of every person, where they can be listed."""
        if self.C > MOST_ENUMERATED:
            raise WorldError(f"world {self.name}: {self.C} persons are too many to list ({MOST_ENUMERATED} at most)")
        return self.forest.log_prior(self.attributes_of(torch.arange(self.C))).exp()

    def parameters(self) -> dict[str, Tensor]:
        rates = torch.tensor([self.templates, self.misreport, self.asides], dtype=torch.float64)
        return {"transition": self.transition, "values": self.values, "rates": rates}

    def attributes_of(self, concepts: Tensor) -> Tensor:
        """(B, A) values of the persons numbered ``concepts`` (B,): their digits in base K, first attribute first."""
        return concepts[:, None] // self.K ** torch.arange(self.A - 1, -1, -1) % self.K

    def concepts_of(self, attributes: Tensor) -> Tensor:
        """(B,) numbers of persons with ``attributes`` (B, A)."""
        return (attributes * self.K ** torch.arange(self.A - 1, -1, -1)).sum(1)

    def sample_concepts(self, n: int, generator: torch.Generator) -> Tensor:
        return self.concepts_of(self.forest.sample(self.prior_belief(n), generator))

    def sample_given_concepts(self, concepts: Tensor, generator: torch.Generator) -> Documents:
        """Latents: ``concept`` (B,); ``name`` (B,) and ``named`` (B, L) of `narration_text.sample_naming`."""
        B = len(concepts)
        uniform = torch.rand(5, B, max(self.L, self.A, len(ASIDES)), dtype=torch.float64, generator=generator)
        is_fact = uniform[0, :, : self.L] >= self.asides
        facts_before, asides_before = is_fact.cumsum(1) - is_fact.long(), (~is_fact).cumsum(1) - (~is_fact).long()
        attribute = uniform[1, :, : self.A].argsort(1).gather(1, facts_before)
        aside = uniform[2, :, : len(ASIDES)].argsort(1).gather(1, asides_before)
        # One uniform number decides between truth and report, and which report: given a misreport it is uniform again.
        chance = uniform[3, :, : self.L]
        report = (chance / max(self.misreport, 1e-300) * self.K).long().clamp_max(self.K - 1)
        value = torch.where(chance < self.misreport, report, self.attributes_of(concepts).gather(1, attribute))
        template = (uniform[4, :, : self.L] * self.templates).long()
        facts = (attribute * self.K + value) * self.templates + template
        tokens = torch.where(is_fact, facts, self.A * self.K * self.templates + aside)
        naming = narration_text.sample_naming(B, self.L, generator)
        log_prob = self.forest.log_prior(self.attributes_of(concepts)) + self.log_prob_given_concepts(concepts, tokens)
        log_prob = log_prob + narration_text.log_prob_of_naming(naming)
        return Documents(tokens, {"concept": concepts, **naming}, log_prob)

    def log_prob_given_concepts(self, concepts: Tensor, documents: Tensor) -> Tensor:
        symbols = self.symbols(documents)
        truth = self.attributes_of(concepts).gather(1, symbols.attribute)
        reports = torch.where(symbols.is_fact, self.log_report[truth, symbols.value], 0.0)
        return self.log_structure(symbols)[0].sum(1) + reports.sum(1)

    def prior_belief(self, n: int) -> Tensor:
        """(n, A, K) zeros: a belief is the log-likelihood of each attribute's values in all documents so far."""
        return torch.zeros(n, self.A, self.K, dtype=torch.float64)

    def update_belief(self, belief: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        symbols = self.symbols(tokens)
        after = belief + self.evidence(symbols).sum(1)
        before = self.forest.log_partition(belief)
        gain = self.forest.log_partition(after) - before.masked_fill(before == -torch.inf, 0.0)
        gain = gain + self.log_structure(symbols)[0].sum(1)
        return after.masked_fill((gain == -torch.inf)[:, None, None], -torch.inf), gain

    def predict_tokens(self, belief: Tensor, tokens: Tensor) -> Tensor:
        B, length = tokens.shape
        symbols = self.symbols(tokens)
        structure, available = self.log_structure(symbols)
        seen = torch.cat([torch.zeros_like(belief[:, None]), self.evidence(symbols).cumsum(1)], 1)[:, :length]
        evidence = (belief[:, None] + seen).flatten(0, 1)
        truth = self.forest.log_marginals(evidence)
        # p(report) = (1 - misreport) p(truth) + misreport / K, in log space
        honest, chance = torch.tensor([1 - self.misreport, self.misreport / self.K], dtype=torch.float64).log()
        report = torch.logaddexp(truth + honest, chance.expand_as(truth)).unflatten(0, (B, length))
        facts = (report + available[..., : self.A, None])[..., None].expand(*report.shape, self.templates)
        result = torch.cat([facts.flatten(2), available[..., self.A :]], 2)
        prefix = torch.cat([torch.zeros(B, 1, dtype=torch.float64), structure.cumsum(1)], 1)[:, :length]
        possible = self.forest.log_partition(evidence).view(B, length) + prefix > -torch.inf
        return result.masked_fill(~possible[..., None], -torch.inf)

    def sample_from_belief(self, belief: Tensor, generator: torch.Generator) -> Documents:
        if not (self.forest.log_partition(belief) > -torch.inf).all():
            raise WorldError(f"world {self.name}: cannot sample given a document that the world never produces")
        return self.sample_given_concepts(self.concepts_of(self.forest.sample(belief, generator)), generator)

    def belief_entropy(self, belief: Tensor) -> Tensor:
        """(B,) entropy of the person under each row, in nats."""
        return self.forest.entropy(belief)

    def most_probable(self, belief: Tensor) -> Tensor:
        """As `ConceptWorld.most_probable`."""
        return one_hot(self.forest.most_probable(belief), self.K).double().log()

    def shifted(self, belief: Tensor) -> Tensor:
        """As `ConceptWorld.shifted`: each report is taken for the next value's."""
        return belief.roll(1, dims=2)

    def symbols(self, tokens: Tensor) -> Symbols:
        """Sentence symbols (B, L') taken apart."""
        facts = self.A * self.K * self.templates
        is_fact = tokens < facts
        attribute = torch.where(is_fact, tokens // (self.K * self.templates), 0)
        value = torch.where(is_fact, tokens // self.templates % self.K, 0)
        return Symbols(is_fact, torch.where(is_fact, attribute, self.A + tokens - facts), attribute, value)

    def evidence(self, symbols: Symbols) -> Tensor:
        """(B, L', A, K) what each sentence says of each attribute's values: log p(reported value | value), or 0."""
        B, length = symbols.slot.shape
        evidence = torch.zeros(B, length, self.A, self.K, dtype=torch.float64)
        said = torch.where(symbols.is_fact[..., None], self.log_report[symbols.value], 0.0)
        return evidence.scatter_(2, symbols.attribute[..., None, None].expand(-1, -1, 1, self.K), said[:, :, None])

    def log_structure(self, symbols: Symbols) -> tuple[Tensor, Tensor]:
        """Log-probabilities of what sentences are about, not of what they report.

        (B, L') of the sentences that are there; (B, L', A + asides) of each attribute, its template included, and of
        each aside, at every position; -inf where it came before.
        """
        slots = one_hot(symbols.slot, self.A + len(ASIDES))
        used = slots.cumsum(1) - slots > 0
        facts_left = (~used[..., : self.A]).sum(-1, keepdim=True).double()
        asides_left = (~used[..., self.A :]).sum(-1, keepdim=True).double()
        fact, aside = torch.tensor([(1 - self.asides) / self.templates, self.asides], dtype=torch.float64).log()
        each_attribute = (fact - facts_left.log()).expand(-1, -1, self.A)
        each_aside = (aside - asides_left.log()).expand(-1, -1, len(ASIDES))
        log_slots = torch.cat([each_attribute, each_aside], 2)
        available = log_slots.masked_fill(used, -torch.inf)
        return available.gather(2, symbols.slot[..., None])[..., 0], available

    def pyro_document(self, name: str, concept: Tensor, tokens: Tensor | None) -> None:
        """As `ConceptWorld.pyro_document`."""
        pyro_document(self, name, concept, tokens)

    def texts(self, documents: Documents) -> list[str]:
        """The documents as English."""
        return self.render(documents.tokens, documents.latents)

    def render(self, tokens: Tensor, latents: Mapping[str, Tensor]) -> list[str]:
        """As `narration_text.render`."""
        return narration_text.render(self, tokens, latents)

    def parse(self, texts: Sequence[str]) -> narration_text.Parsed:
        """As `narration_text.parse`."""
        return narration_text.parse(self, texts)
