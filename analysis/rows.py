"""The rows that one seed adds to the results table."""

from collections.abc import Mapping

from analysis import measures
from analysis.bayes_gap import BayesGap
from analysis.excess_loss import MeanLoss
from sbp_bayes.results import Result


class Rows:
    """Collects the results of one seed of one world."""

    def __init__(self, world: str, seed: int):
        self.world, self.seed = world, seed
        self.results: list[Result] = []

    def add(
        self,
        measure: str,
        subject: str,
        estimate: float,
        se: float | None,
        n: int,
        null: float | None,
        unit: str,
        at: float | None = None,
    ) -> None:
        self.results.append(Result(measure, subject, self.world, self.seed, estimate, se, n, null, unit, at))

    def add_gap(self, gap: BayesGap, token: str = "token") -> None:
        """Total, per token, as a share of I(d1;d2), and by position. token: what a position of d2 is."""
        self.add(measures.BAYES_GAP, gap.name, gap.per_document, gap.per_document_se, gap.n, 0.0, "nats/document")
        self.add(measures.BAYES_GAP_PER_TOKEN, gap.name, gap.per_token, gap.per_token_se, gap.n, 0.0, f"nats/{token}")
        self.add(measures.BAYES_GAP_FRACTION, gap.name, gap.fraction, gap.fraction_se, gap.n, 0.0, "share of I(d1;d2)")
        for t, (mean, se) in enumerate(zip(gap.by_position.tolist(), gap.by_position_se.tolist(), strict=True)):
            self.add(measures.BAYES_GAP_AT_POSITION, gap.name, mean, se, gap.n, 0.0, f"nats/{token}", float(t))

    def add_loss(self, measure: str, arm: str, checkpoint: str, loss: MeanLoss, null: float | None) -> None:
        name = measures.at_checkpoint(measure, checkpoint)
        self.add(name, arm, loss.per_token, loss.per_token_se, loss.n, null, "nats/token")

    def add_excess(self, arm: str, checkpoint: str, excess: MeanLoss) -> None:
        """Nats above exact Bayes, a token and a document."""
        self.add_loss(measures.EXCESS_LOSS, arm, checkpoint, excess, 0.0)
        name = measures.at_checkpoint(measures.EXCESS_LOSS_PER_DOCUMENT, checkpoint)
        self.add(name, arm, excess.per_document, excess.per_document_se, excess.n, 0.0, "nats/document")

    def add_ranks(self, arm: str, checkpoint: str, by_octave: Mapping[int, MeanLoss]) -> None:
        """Nats a token above exact Bayes by octave of the concept's rank."""
        name = measures.at_checkpoint(measures.EXCESS_LOSS_OF_RANKS, checkpoint)
        for octave, loss in by_octave.items():
            self.add(name, arm, loss.per_token, loss.per_token_se, loss.n, 0.0, "nats/token", float(octave))
