"""A stage's documents by a server of its synthesizer, which the stage exports and a person serves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.model.hugging_face import export_model
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.synthesis.endpoint import Endpoint, sample_by_endpoint
from sbp_bayes.synthesis.sampler import Samples, SamplingConfig

MODEL = "served-model"


def sample_by_server(
    model: Transformer,
    prompts: Sequence[np.ndarray],
    copies: int,
    config: SamplingConfig,
    tokenizer: Tokenizer,
    seed: int,
    settings: dict,
    out: Path,
    name: str,
) -> Samples:
    """`sample_by_endpoint` at the server of ``settings``, a [synthesis] table.

    The synthesizer is exported to ``out``/`MODEL`. Where no server answers or another model is served, the UserError
    says which folder to serve.
    """
    folder = out / MODEL
    if not folder.exists():
        context = max(map(len, prompts)) + config.max_tokens + 1
        export_model(model, tokenizer, folder, context=context, origin={"stage": name})
    endpoint = Endpoint(settings["endpoint"], settings["served_model"], settings["concurrency"])
    try:
        return sample_by_endpoint(model, prompts, copies, config, tokenizer, seed, endpoint, out, name)
    except UserError as error:
        goes_on = f"the synthesizer to serve (sbp serve, vllm serve) is {folder}; then the same command goes on"
        raise UserError(f"{name}: {error}; {goes_on}") from error
