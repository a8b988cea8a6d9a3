"""`sbp pairs`: pair the documents of any corpus folder, by one embedder or by several that are compared."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import tyro

from sbp_bayes import plugins
from sbp_bayes.engines.options import Engine
from sbp_bayes.errors import UserError

REPORTERS = "sbp_bayes.pairs_reporters"  # entry points: (folders of pairs, folder to write) -> None


@dataclass(frozen=True)
class PairsArguments:
    """Pair the documents of a corpus folder (sbp corpus makes one; so does a run, in OUT/stages/corpus-*/real).

    OUT/EMBEDDER has pairs.parquet, a row for each candidate with its score and what became of it, and pairs.json, with
    statistics and, where the corpus has concepts, precision against alpha; OUT has the picture of that. The same
    command goes on where it was stopped. Without a corpus: the picture of pairs that there are (--compare).
    """

    corpus: tyro.conf.Positional[Path | None] = None
    """Folder with a corpus.json."""
    out: Path = Path("runs/pairs")
    """Folder to write."""
    embedder: tuple[str, ...] = ("tfidf",)
    """tfidf, base-model, minilm, sentence-transformers:NAME (a hub name or a folder); several are compared."""
    base: Path | None = None
    """Of base-model: a folder with best.safetensors (OUT/stages/base-* of a run, or a launch's --out)."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """KEY=VALUE of a key of [pairing], as often as needed: --set alpha=0.6 --set top_k=10 (see sbp run --help)."""
    documents: int = 0
    """Pair a random part of so many documents, of whole concepts where they are known; 0: all."""
    seed: int = 0
    """Which part."""
    join: int = 0
    """Search neighbours shard against shard, of so many documents each, as tasks; 0: in the memory of this process."""
    compare: tuple[Path, ...] = ()
    """Folders of other pairs (with a pairs.json) for the picture."""
    device: str = "cpu"
    """cpu, or cuda."""
    engine: tyro.conf.OmitArgPrefixes[Engine] = dataclasses.field(default_factory=Engine)


def pairs(arguments: list[str]) -> int:
    """Pair the documents of a corpus folder, by one embedder or several; statistics and a picture."""
    parsed = tyro.cli(PairsArguments, prog="sbp pairs", args=arguments)
    if parsed.corpus is None and not parsed.compare:
        raise UserError("sbp pairs: expected a corpus folder, or --compare with folders of pairs")
    for name in ("documents", "join"):
        if getattr(parsed, name) < 0:
            raise UserError(f"--{name} {getattr(parsed, name)}: expected 0 or more")
    folders = list(parsed.compare)
    if parsed.corpus is not None:
        from sbp_bayes.pairing.corpus_pairs import pair_corpus

        for embedder in parsed.embedder:
            folder = pair_corpus(parsed, embedder)
            if folder is None:
                print(f"{parsed.out}: slurm has the tasks; the same command goes on when they are done")
                return 0
            folders.append(folder)
            _show(folder)
    for name in sorted(plugins.names(REPORTERS)):
        plugins.load(REPORTERS, name)(folders, parsed.out)
    return 0


def _show(folder: Path) -> None:
    from sbp_bayes.files import read_json

    found = read_json(folder / "pairs.json")
    how = found["search"]["method"]
    if "recall" in found["search"]:
        how += f", recall {found['search']['recall']:.3f} ± {found['search']['se']:.3f}"
    lines = [
        f"{folder}: {found['kept_pairs']:,} pairs of {found['documents']:,} documents, neighbours {how}",
        "  " + ", ".join(f"{count:,} {reason}" for reason, count in found["reasons"].items()),
        f"  {found['pairs_per_document']:.2f} pairs a document, "
        f"{100 * found['share_without_partner']:.1f} % of documents without a partner",
    ]
    if found["precision"] is not None:
        lines.append(
            f"  {100 * found['precision']:.1f} % of pairs share their concept ({100 * found['chance_precision']:.2g} % "
            f"by chance); {100 * found['share_related']:.1f} % of documents have another of theirs"
        )
    print("\n".join(lines))
