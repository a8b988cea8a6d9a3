"""The stage that pairs the documents of D."""

from pathlib import Path

from sbp_bayes import plugins
from sbp_bayes.files import file_hash, read_json
from sbp_bayes.graph import Stage
from sbp_bayes.ledger import Entry, forward_flops
from sbp_bayes.pairing.config import EMBEDDERS, PairingConfig
from sbp_bayes.pairing.embeddings import open_embeddings
from sbp_bayes.pairing.pairs import load_pairs, make_pairs, save_pairs
from sbp_bayes.seeds import seed_for
from sbp_bayes.stages.data import SeedData
from sbp_bayes.training.checkpoint import BEST, load_model


def build_pairs(stage: Stage, inputs: dict[str, Path], out: Path, device: str) -> list[Entry]:
    """Pairs (d1, d2) of D by a rule; random pairs give each d1 as many partners as the related ones do."""
    data = SeedData(inputs["corpus"])
    entries: list[Entry] = []
    model = None
    if "base" in inputs:
        model = load_model(inputs["base"] / BEST, data.tokenizer.fingerprint)
        tokens = int(data.real.lengths.sum()) + 2 * len(data.real)
        context = float(data.real.lengths.mean()) / 2
        flops = forward_flops(model.matrix_parameters, model.config.layers, model.attention_width, tokens, context)
        entries.append(Entry(stage.name, "embedding", tokens, flops))
    config = PairingConfig(**stage.config["pairing"])
    vectors = None
    embedder = {"embedder": config.embedder}
    if "embeddings" in inputs:
        embeddings = open_embeddings(inputs["embeddings"], data.real)
        vectors, embedder = embeddings.vectors(), embeddings.description["embedder"]
    if model is not None:
        embedder["weights"] = file_hash(inputs["base"] / BEST)
    if config.plugin_embedder:
        embedder["version"] = stage.config["version"]
        embed = plugins.load(EMBEDDERS, config.plugin_embedder)
        vectors = embed(read_json(inputs["corpus"] / "source.json"), data.real)
    pairs = make_pairs(
        data.real,
        config,
        seed_for(stage.config["seed"], "pairs"),
        model=model,
        tokenizer=data.tokenizer,
        device=device,
        vectors=vectors,
        embedder=embedder,
        like=load_pairs(inputs["like"]) if "like" in inputs else None,
    )
    save_pairs(out, pairs)
    return entries
