"""Which headwords may be asked about, given what the models of a run have read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from analysis.tasks.item import WORD, Item
from sbp_bayes.documents.corpus import Corpus
from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json

ANY, UNSEEN, SEEN = "any", "unseen", "seen"
READ = ("oracle", "validation")  # D is part of the oracle's corpus
COPIED_RUN = 8
SHORTEST_PHRASE = 3


@dataclass(frozen=True)
class Training:
    """What models of a run were trained on or chosen by, over all its seeds.

    headwords: source -> headwords of its documents; real: headwords of D in every seed; corpora: folders of the
    documents; fingerprints: of the corpora.
    """

    headwords: dict[str, frozenset[str]]
    real: frozenset[str]
    corpora: tuple[Path, ...]
    fingerprints: tuple[str, ...]

    @classmethod
    def of_run(cls, run: Path) -> "Training":
        """Of a finished run on a corpus with a source column and concepts; UserError for any other."""
        links = sorted(run.glob("seeds/*/stages.json"))
        if not links:
            raise UserError(f"{run}: not a finished run (no seeds/*/stages.json); sbp run makes one")
        headwords: dict[str, set[str]] = {}
        real: list[set[str]] = []
        corpora: dict[Path, str] = {}
        for link in links:
            folder = (run / read_json(link)["corpus"]).resolve()
            for split in READ:
                corpus = Corpus.open(folder / split)
                corpora[corpus.folder] = corpus.fingerprint
                for source, concept in zip(_sources(corpus), _concepts(corpus), strict=True):
                    headwords.setdefault(source, set()).add(concept)
            real.append(set(_concepts(Corpus.open(folder / "real"))))
        found = {source: frozenset(words) for source, words in headwords.items()}
        return cls(found, frozenset(set.intersection(*real)), tuple(corpora), tuple(sorted(corpora.values())))

    @cached_property
    def all_headwords(self) -> frozenset[str]:
        return frozenset().union(*self.headwords.values())

    def texts(self) -> Iterator[str]:
        """Every document."""
        for folder in self.corpora:
            for batch in Corpus.open(folder).batches("text"):
                yield from batch


def _sources(corpus: Corpus) -> list[str]:
    return corpus.column("source").to_pylist()


def _concepts(corpus: Corpus) -> list[str]:
    latents = corpus.latents()
    if latents is None or "concept" not in latents.column_names or not corpus.has_text:
        raise UserError(f"{corpus.folder}: no headwords there, expected a corpus of text with a concept column")
    return [str(concept) for concept in latents["concept"].to_pylist()]


@dataclass(frozen=True)
class Rule:
    """Which headwords of which source may be asked about.

    mode: ``any``: all, for models of which nothing is known; ``unseen``: no document that a model was trained on or
    chosen by has the headword; ``seen``: D has a document of it, but none of this source, so that what is asked was
    told in other words. In both no text that gives an answer away is copied in such a document (`copied`).
    """

    mode: str = ANY
    training: Training | None = None

    def __post_init__(self) -> None:
        assert (self.mode == ANY) == (self.training is None), self.mode

    def allows(self, source: str, headword: str) -> bool:
        if self.training is None:
            return True
        if self.mode == UNSEEN:
            return headword not in self.training.all_headwords
        return headword in self.training.real and headword not in self.training.headwords.get(source, ())

    def read(self, headword: str) -> bool:
        """Whether a document of this headword was read; wrong options are chosen to agree in it with the right one."""
        return self.training is not None and headword in self.training.all_headwords

    def uncopied(self, items: Sequence[Item]) -> list[Item]:
        """The items whose evidence no training document copies."""
        if self.training is None:
            return list(items)
        found = copied([item.evidence for item in items], self.training.texts())
        return [item for item, known in zip(items, found, strict=True) if not known]


def copied(phrases: Sequence[str], texts: Iterable[str]) -> list[bool]:
    """Whether a run of 8 words of a phrase is in one of ``texts``; of a phrase of 3 to 7 words the whole.

    Words are compared in lower case, without punctuation; shorter phrases never count. Cost: one pass over the texts.
    """
    owners: dict[tuple[str, ...], list[int]] = {}
    for i, phrase in enumerate(phrases):
        words = WORD.findall(phrase.lower())
        size = min(COPIED_RUN, len(words))
        if size >= SHORTEST_PHRASE:
            for start in range(len(words) - size + 1):
                owners.setdefault(tuple(words[start : start + size]), []).append(i)
    sizes: dict[tuple[str, ...], set[int]] = {}
    for run in owners:
        sizes.setdefault(run[:SHORTEST_PHRASE], set()).add(len(run))
    known = [False] * len(phrases)
    for text in texts:
        words = WORD.findall(text.lower())
        for start in range(len(words) - SHORTEST_PHRASE + 1):
            for size in sizes.get(tuple(words[start : start + SHORTEST_PHRASE]), ()):
                for i in owners.get(tuple(words[start : start + size]), ()):
                    known[i] = True
    return known
