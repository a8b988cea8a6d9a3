"""Pairs of a corpus folder by one embedder, the heavy steps as tasks of an engine: what `sbp pairs` does."""

import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sbp_bayes.documents.corpus import Corpus, write_corpus
from sbp_bayes.documents.tokenizer import Tokenizer, load_tokenizer
from sbp_bayes.engines.run import run_tasks
from sbp_bayes.errors import UserError
from sbp_bayes.experiment import table_from
from sbp_bayes.files import atomic_write, content_hash, file_hash, read_json
from sbp_bayes.pairing.config import PairingConfig
from sbp_bayes.pairing.embeddings import DESCRIPTION, SHARD, Embeddings, embed_tasks, finish_embeddings, open_embeddings
from sbp_bayes.pairing.index_search import recall
from sbp_bayes.pairing.join import join_tasks, joined
from sbp_bayes.pairing.neighbours import Neighbours
from sbp_bayes.pairing.pairs import Pairs, make_pairs, save_pairs
from sbp_bayes.pairing.statistics import concept_codes
from sbp_bayes.seeds import numpy_generator

if TYPE_CHECKING:
    from sbp_bayes.pairing.command import PairsArguments

PART_ROWS = 1 << 16


def pair_corpus(arguments: "PairsArguments", embedder: str) -> Path | None:
    """Pair the corpus by ``embedder`` and write OUT/EMBEDDER; None where Slurm has the tasks and they are to come.

    UserError: no corpus there, an unknown key, an embedder that can't be had, no pair left.
    """
    config = table_from(PairingConfig, arguments.set, "pairing.")
    config = dataclasses.replace(config, rule="similarity", embedder=embedder)
    if config.plugin_embedder:
        raise UserError(f"--embedder {embedder}: expected tfidf, base-model, minilm or sentence-transformers:NAME")
    corpus = _corpus(arguments)
    folder = arguments.out / embedder.replace("/", "_").replace(":", "-")
    if arguments.join and config.whiten:
        raise UserError(f"--join {arguments.join}: searches the vectors as they are; leave it out, or whiten = true")
    if config.sentence_embedder:
        embeddings = _embeddings(corpus, config, folder / "embeddings", arguments)
        if embeddings is None:
            return None
        found = _by_sentence_model(corpus, config, embeddings, folder / "join", arguments)
        if found is None:
            return None
    elif arguments.join:
        raise UserError(f"--join {arguments.join}: of a sentence embedder's vectors only, not of {embedder}")
    elif config.uses_base_model:
        found = _by_base_model(corpus, config, arguments)
    else:
        found = make_pairs(corpus, config, 0)
    save_pairs(folder, found)
    return folder


def _corpus(arguments: "PairsArguments") -> Corpus:
    """The corpus, or the part of it that is paired, in OUT/corpus."""
    whole = Corpus.open(arguments.corpus)
    if not arguments.documents or arguments.documents >= len(whole):
        return whole
    rows = part_of(whole, arguments.documents, arguments.seed)
    folder = arguments.out / "corpus"
    marker = folder / "part_of.json"
    of = content_hash([whole.fingerprint, rows.tolist()])
    if not (marker.exists() and read_json(marker) == of):
        tokenizer = _tokenizer(arguments.corpus)
        shutil.rmtree(folder, ignore_errors=True)
        tables = [_rows_of(whole, rows[i : i + PART_ROWS]) for i in range(0, rows.size, PART_ROWS)]
        write_corpus(folder, tables, tokenizer)
        atomic_write(marker, lambda path: path.write_text(f'"{of}"\n'))
    return Corpus.open(folder)


def part_of(corpus: Corpus, documents: int, seed: int) -> np.ndarray:
    """Rows (M,) of a random part of ``corpus``, ascending, M <= ``documents``: whole concepts where they are known.

    UserError where not even the first concept fits.
    """
    concepts = concept_codes(corpus)
    groups = np.arange(len(corpus))
    if concepts is not None:
        groups = np.where(concepts >= 0, concepts, groups + int(concepts.max()) + 1)
    _, groups, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = numpy_generator("part of a corpus", seed).permutation(sizes.size)
    taken = order[np.cumsum(sizes[order]) <= documents]
    if not taken.size:
        raise UserError(f"--documents {documents}: concepts stay whole, and the first has {sizes[order[0]]} documents")
    return np.flatnonzero(np.isin(groups, taken))


def _rows_of(corpus: Corpus, rows: np.ndarray) -> pa.Table:
    """Columns, the concept where it is known, and the tokens of some documents."""
    columns = {name: corpus.column(name).take(pa.array(rows)) for name in corpus.columns if name != "tokens"}
    latents = corpus.latents()
    if latents is not None and "concept" in latents.column_names:
        columns["concept"] = latents["concept"].take(pa.array(rows))
    return pa.table({**columns, "tokens": pa.array([corpus.document(int(i)) for i in rows], pa.list_(pa.int64()))})


def _tokenizer(corpus: Path) -> Tokenizer:
    """The tokenizer in the corpus folder, or beside it, as runs have it."""
    for folder in (corpus / "tokenizer", corpus.absolute().parent / "tokenizer"):
        if folder.exists():
            return load_tokenizer(folder)
    raise UserError(f"{corpus}: expected a folder tokenizer in it, or beside it")


def _embeddings(corpus: Corpus, config: PairingConfig, folder: Path, arguments: "PairsArguments") -> Embeddings | None:
    shard = min(SHARD, arguments.join or SHARD)
    tasks = embed_tasks(corpus, folder, config.embedder, config.embedding_dtype, arguments.device, shard)
    if (folder / DESCRIPTION).exists() and read_json(folder / DESCRIPTION).get("content") == tasks[0].content:
        return open_embeddings(folder, corpus)
    if not run_tasks(tasks, folder, arguments.engine, f"embed by {config.embedder}"):
        return None
    return finish_embeddings(folder, corpus, tasks)


def _by_sentence_model(
    corpus: Corpus, config: PairingConfig, embeddings: Embeddings, folder: Path, arguments: "PairsArguments"
) -> Pairs | None:
    record = embeddings.description["embedder"]
    if not arguments.join:
        return make_pairs(corpus, config, 0, vectors=embeddings.vectors(), embedder=record, device=arguments.device)
    found = _joined(corpus, config, embeddings, folder, arguments)
    return None if found is None else make_pairs(corpus, config, 0, found=found, embedder=record)


def _joined(
    corpus: Corpus, config: PairingConfig, embeddings: Embeddings, folder: Path, arguments: "PairsArguments"
) -> tuple[Neighbours, dict] | None:
    files = embeddings.shards
    each = max(1, arguments.join // embeddings.description["shard"])
    shards = [tuple(files[i : i + each]) for i in range(0, len(files), each)]
    index = "" if len(corpus) <= config.exact_below else config.index
    # What another corpus, or other keys, left there is not mistaken for this one's.
    folder = folder / content_hash([embeddings.description["content"], each, config.top_k, index, config.nprobe])
    for number, tasks in enumerate(join_tasks(shards, folder, config.top_k, index, config.nprobe)):
        if not run_tasks(tasks, folder, arguments.engine, f"neighbours, round {number + 1}"):
            return None
    found = joined(folder, len(shards))
    how = {"method": f"join of {len(shards)} shards, {index or 'exact'}", "k": config.top_k}
    if index:
        how |= {"nprobe": config.nprobe, **recall([np.load(file, mmap_mode="r") for file in files], found)}
    return found, how


def _by_base_model(corpus: Corpus, config: PairingConfig, arguments: "PairsArguments") -> Pairs:
    from sbp_bayes.training.checkpoint import BEST, load_model

    if arguments.base is None:
        raise UserError("--embedder base-model: needs --base, a folder with the base model's best.safetensors")
    weights = arguments.base / BEST if arguments.base.is_dir() else arguments.base
    tokenizer = _tokenizer(arguments.corpus)
    if tokenizer.fingerprint != corpus.tokenizer_fingerprint:
        raise UserError(f"{arguments.corpus}: the tokenizer beside it did not make its tokens")
    model = load_model(weights, tokenizer.fingerprint).to(arguments.device)
    record = {"embedder": "base-model", "weights": file_hash(weights)}
    return make_pairs(corpus, config, 0, model=model, tokenizer=tokenizer, device=arguments.device, embedder=record)
