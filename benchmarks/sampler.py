"""Speed of the batched sampler on one CPU thread against transformers: ``python benchmarks/sampler.py``.

At each size a model is made and exported; the project's sampler and transformers' ``generate``, which opens the export,
write documents after the same prompts of mixed lengths, in the same batches, turn by turn in one process. The figure is
tokens of documents per second of processor time, which on one thread is the time itself where nothing else runs. Ratios
are of medians. Documents have all one length, or end at random as real ones do (geometric lengths whose mean is a third
of the longest, as in a corpus of dictionary entries), from the whole law or from a nucleus of 0.9, as the paper's.
Prints a table and writes it, with the device and the versions, to benchmarks/results/sampler.json; rows of sizes that
are not run stay as they are there.
"""

import argparse
import dataclasses
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import transformers
from cpu_device import cpu_device

from sbp_bayes.documents.tokenizer import SymbolTokenizer
from sbp_bayes.files import read_json, write_json
from sbp_bayes.model.hugging_face import export_model, import_model
from sbp_bayes.model.sizes import model_config
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.progress import send_reports_to
from sbp_bayes.seeds import generator, numpy_generator
from sbp_bayes.synthesis.sampler import SamplingConfig, sample

RESULTS = Path(__file__).parent / "results" / "sampler.json"
# name -> whether documents have all one length, top_p
LAWS = {"one length": (True, 1.0), "ends": (False, 1.0), "ends, top_p 0.9": (False, 0.9)}
MEAN_SHARE = 1 / 3  # of a document that ends, of the longest allowed
CONSTANT = 10.0  # of the coordinate of hidden states that decides on the end; the others are of size 0.02


@dataclass(frozen=True)
class Case:
    """A size of the dial and its documents: d1 of ``tokens`` / 2 to ``tokens`` tokens, d2 of at most ``tokens``, in
    batches of ``batch``, of which ``batches`` are timed."""

    size: str
    vocabulary: int
    tokens: int
    batch: int
    batches: int


# The demo's world, the text experiment, and paragraphs of a real tokenizer.
CASES = [Case("0.1M", 35, 16, 512, 4), Case("1M", 2048, 48, 128, 1), Case("10M", 8192, 48, 32, 1)]


class Ours:
    """The project's sampler."""

    def __init__(self, folder: Path, case: Case):
        self.model, self.tokenizer = import_model(folder)
        self.case = case

    def write(self, prompts: list[np.ndarray], one_length: bool, top_p: float) -> int:
        """Write a document after each prompt; returns the number of their tokens, ends included."""
        longest = self.case.tokens
        law = {"top_p": top_p, "min_tokens": longest if one_length else 0, "max_tokens": longest}
        config = SamplingConfig(**law, batch_size=self.case.batch)
        samples = sample(self.model, prompts, config, self.tokenizer, generator("benchmark"))
        return sum(map(len, samples.tokens)) + (0 if one_length else int(samples.finished.sum()))


class Transformers:
    """transformers' generate, with prompts of a batch padded on the left and sorted by length as ours are."""

    def __init__(self, folder: Path, case: Case):
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.case = case

    def write(self, prompts: list[np.ndarray], one_length: bool, top_p: float) -> int:
        """As `Ours.write`."""
        torch.manual_seed(0)
        drawn, most, eos = 0, self.case.tokens, self.model.config.eos_token_id
        prompts = sorted(prompts, key=len)
        for start in range(0, len(prompts), self.case.batch):
            batch = prompts[start : start + self.case.batch]
            longest = max(map(len, batch))
            ids = torch.full((len(batch), longest), self.model.config.pad_token_id)
            mask = torch.zeros_like(ids)
            for row, prompt in enumerate(batch):
                ids[row, longest - len(prompt) :] = torch.from_numpy(prompt)
                mask[row, longest - len(prompt) :] = 1
            written = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                do_sample=True,
                top_p=top_p,
                min_new_tokens=most if one_length else 0,
                max_new_tokens=most,
            )[:, longest:]
            ended = (written == eos).int()
            drawn += int((ended.cumsum(1) - ended == 0).sum())  # tokens with no end before them
        return drawn


def model_that_ends(case: Case, tokenizer: SymbolTokenizer) -> Transformer:
    """A model of random weights in which every token is as good as equally likely, and the end has the probability that
    gives documents their mean length: one coordinate of every embedding is a constant that the head reads for it.
    """
    model = Transformer(dataclasses.replace(model_config(case.size, case.vocabulary), tied=False))
    model.init(generator("benchmark"))
    with torch.no_grad():
        model.embed_tokens.weight[:, 0] = CONSTANT
        model.head[:, 0] = 0
        model.head[tokenizer.eos] = 0
        hidden = model.hidden(torch.tensor([[tokenizer.bos, 0, tokenizer.sep]]))[0, -1, 0]
        model.head[tokenizer.eos, 0] = math.log(case.vocabulary / (case.tokens * MEAN_SHARE)) / hidden
    return model


def prompts_of(case: Case, tokenizer: SymbolTokenizer) -> list[np.ndarray]:
    """``[bos] d1 [sep]`` of random tokens, for every document of the case."""
    rng = numpy_generator("benchmark")
    lengths = rng.integers(case.tokens // 2, case.tokens + 1, case.batch * case.batches)
    documents = [rng.integers(0, tokenizer.symbols, length) for length in lengths]
    return [np.concatenate(([tokenizer.bos], document, [tokenizer.sep])) for document in documents]


def measure(case: Case, repeats: int) -> dict:
    """Rates of both under each law, in this process."""
    tokenizer = SymbolTokenizer(case.vocabulary - 3)
    model = model_that_ends(case, tokenizer)
    prompts = prompts_of(case, tokenizer)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "exported"
        export_model(model, tokenizer, folder, context=2 * case.tokens + 3)
        contenders = {"transformers": Transformers(folder, case), "sampler": Ours(folder, case)}
    rates: dict[str, dict[str, list[float]]] = {}
    for law, settings in LAWS.items():
        found = rates[law] = {name: [] for name in contenders}
        for contender in contenders.values():
            contender.write(prompts[: case.batch], *settings)
        for _ in range(repeats):
            for name, contender in contenders.items():
                found[name].append(_rate(lambda one=contender, law=settings: one.write(prompts, *law)))
    medians = {law: {name: float(np.median(found)) for name, found in row.items()} for law, row in rates.items()}
    return {
        "tokens_per_second": medians,
        "times_transformers": {law: row["sampler"] / row["transformers"] for law, row in medians.items()},
        "rates": rates,
    }


def _rate(write: Callable[[], int]) -> float:
    """Tokens per second of processor time."""
    start = time.process_time()
    drawn = write()
    return drawn / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=[case.size for case in CASES])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    send_reports_to(lambda report: None)
    rows = []
    for case in (case for case in CASES if case.size in options.sizes):
        rows.append({**vars(case), "date": time.strftime("%Y-%m-%d"), **measure(case, options.repeats)})
        for law, rates in rows[-1]["tokens_per_second"].items():
            shown = "  ".join(f"{name} {rate:8,.0f}" for name, rate in rates.items())
            print(
                f"{case.size:>5}  {law:16} tokens/s: {shown}  {rows[-1]['times_transformers'][law]:5.2f}x", flush=True
            )
    before = read_json(options.out)["rows"] if options.out.exists() else []
    found = {row["size"]: row for row in [*before, *rows]}
    ordered = [found[case.size] for case in CASES if case.size in found]
    write_json(options.out, {"device": {**cpu_device(), "transformers": transformers.__version__}, "rows": ordered})


if __name__ == "__main__":
    main()
