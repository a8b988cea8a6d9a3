"""Explicit Bayes with everything learnt: an encoder q(c | d1) and a decoder p(d2 | c), and the two as a Pyro model.

Both are of one family: a class is a hidden Markov model, which with one state is a law of words, so that the family
holds W1 and W4. The encoder has parameters of its own (with one state it is a linear layer on word counts, with more a
linear recurrent network), or it shares the decoder's.
Shapes: B documents, L tokens, K classes, S states, V symbols. Parameters and log-probabilities are float64.
"""

import torch
from torch import Tensor, nn

from synthetic_worlds.bow import BagOfWords
from synthetic_worlds.hmm import ConceptHMM
from synthetic_worlds.world import ConceptWorld

SPREAD = 0.5  # standard deviation of initial logits: enough to tell classes apart, too little to commit


class HiddenMarkovClasses(nn.Module):
    """K hidden Markov models of S states over V symbols; their probabilities are softmaxes of free logits."""

    def __init__(self, classes: int, states: int, vocabulary: int):
        super().__init__()
        self.initial = _zeros(classes, states)
        self.transition = _zeros(classes, states, states)
        self.emission = _zeros(classes, states, vocabulary)

    def init(self, generator: torch.Generator, frequencies: Tensor) -> None:
        """Every state near the corpus's own word ``frequencies`` (V,), all else near uniform."""
        with torch.no_grad():
            for logits in self.parameters():
                logits.normal_(0, SPREAD, generator=generator)
            self.emission += frequencies.log()

    def probabilities(self) -> tuple[Tensor, Tensor, Tensor]:
        """Initial (K, S), transition (K, S, S) and emission (K, S, V)."""
        return self.initial.softmax(-1), self.transition.softmax(-1), self.emission.softmax(-1)

    def set_probabilities(self, initial: Tensor, transition: Tensor, emission: Tensor) -> None:
        """Take the given probabilities, all of them positive."""
        with torch.no_grad():
            for logits, values in zip(self.parameters(), (initial, transition, emission), strict=True):
                logits.copy_(values.log())

    def log_density(self, words: float, frequencies: Tensor) -> Tensor:
        """Log-density of the parameters, up to a constant, under a Dirichlet prior on every row that is worth ``words``
        observations: of the corpus's ``frequencies`` (V,) for emissions, evenly spread for the rest."""
        initial, transition, emission = (logits.log_softmax(-1) for logits in self.parameters())
        even = initial.mean(-1).sum() + transition.mean(-1).sum()
        return words * (even + (frequencies * emission).sum())

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """(B, K) log p(tokens | class): a forward algorithm that can be differentiated."""
        initial, transition, emission = self.probabilities()
        if initial.shape[1] == 1:
            return nn.functional.embedding_bag(tokens, emission[:, 0].log().T, mode="sum")
        emitted = emission.permute(2, 0, 1)[tokens].permute(1, 2, 0, 3)  # (L, K, B, S)
        predicted, total = initial[:, None], torch.zeros((), dtype=torch.float64)
        for at in emitted:
            joint = predicted * at
            mass = joint.sum(-1, keepdim=True)
            total = total + mass.log()
            predicted = (joint / mass) @ transition
        return total[..., 0].T

    def world(self, prior: Tensor, length: int) -> ConceptWorld:
        """The classes as a world with frequencies ``prior`` (K,) and documents of ``length`` tokens."""
        prior, initial, transition, emission = (values.detach() for values in (prior, *self.probabilities()))
        if initial.shape[1] == 1:
            return BagOfWords(prior, emission[:, 0], length)
        return ConceptHMM(prior, initial, transition, emission, length)


class ExplicitModel(nn.Module):
    """q(c | d1) proportional to b_c r(d1 | c), and p(d2 | c).

    r has parameters of its own, an amortised posterior fitted to predict d2 alone; or, ``shared``, r is p: then q is
    the exact posterior in the learnt world. b are the classes' frequencies.
    """

    def __init__(self, classes: int, states: int, vocabulary: int, shared: bool = False):
        super().__init__()
        self.log_frequencies = _zeros(classes)
        self.decoder = HiddenMarkovClasses(classes, states, vocabulary)
        self.reader = self.decoder if shared else HiddenMarkovClasses(classes, states, vocabulary)

    @property
    def parts(self) -> list[HiddenMarkovClasses]:
        """Decoder and reader, once each."""
        return list(dict.fromkeys([self.decoder, self.reader]))

    def init(self, generator: torch.Generator, frequencies: Tensor) -> None:
        """Random parameters; ``frequencies`` (V,) of the corpus's words."""
        nn.init.zeros_(self.log_frequencies)
        for part in self.parts:
            part.init(generator, frequencies)

    def log_density(self, words: float, frequencies: Tensor) -> Tensor:
        """Log-density of all parameters; see `HiddenMarkovClasses.log_density`."""
        return torch.stack([part.log_density(words, frequencies) for part in self.parts]).sum()

    def log_posterior(self, d1: Tensor) -> Tensor:
        """(B, K) log q(c | d1)."""
        return (self.log_frequencies + self.reader.log_likelihood(d1)).log_softmax(-1)

    def log_predictive(self, d1: Tensor, d2: Tensor) -> Tensor:
        """(B,) log sum_c q(c | d1) p(d2 | c)."""
        return (self.log_posterior(d1) + self.decoder.log_likelihood(d2)).logsumexp(-1)

    def pyro_model(self, d1: Tensor, d2: Tensor) -> None:
        """c ~ q(c | d1), d2 ~ p(d2 | c) for each of B > 1 pairs.

        With c enumerated the ELBO of an empty guide is log p(d2 | d1) itself. q stands in the model, as a prior that
        depends on d1: as a guide beside a fixed prior it would have to account for a d2 that it does not see, and the
        bound's best q would not be the posterior given d1.
        """
        import pyro
        import pyro.distributions as dist
        from pyro.ops.indexing import Vindex

        log_p = self.decoder.log_likelihood(d2)
        with pyro.plate("pairs", len(d1)) as rows:
            law = dist.Categorical(logits=self.log_posterior(d1))
            concept = pyro.sample("concept", law, infer={"enumerate": "parallel"})
            pyro.factor("d2", Vindex(log_p)[rows, concept])


def _zeros(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape, dtype=torch.float64))
