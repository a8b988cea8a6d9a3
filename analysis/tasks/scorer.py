"""Our transformer as a model of lm-evaluation-harness: the log-likelihoods of its class ``hf``, in less time.

Requests are sorted by length, and logits are made of the continuation's places alone. This module needs the harness.
"""

from collections.abc import Sequence

import numpy as np
import torch
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.model.transformer import Transformer
from sbp_bayes.progress import Progress
from sbp_bayes.seeds import generator
from sbp_bayes.synthesis.sampler import SamplingConfig, sample

SLOTS = 4096  # padded tokens read at a time
LONGEST_ANSWER = 32  # tokens written where a task asks for text and sets no limit
Request = tuple[tuple[str, str], list[int], list[int]]


class Scorer(TemplateLM):
    """model in evaluation; context: tokens read at a time, the last ones of longer prompts.

    Every sequence begins with bos, as in training: with the harness's own class that is ``add_bos_token=True``.
    """

    def __init__(self, model: Transformer, tokenizer: Tokenizer, context: int, name: str):
        super().__init__()
        self.model, self.rules, self.max_length, self.name = model, tokenizer, context, name

    @property
    def eot_token_id(self) -> int:
        return self.rules.eos

    @property
    def prefix_token_id(self) -> int:
        return self.rules.bos

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_) -> list[int]:
        """Token ids, after bos unless ``add_special_tokens`` is False."""
        ids = self.rules.encode([string])[0].tolist()
        return ids if add_special_tokens is False else [self.rules.bos, *ids]

    def loglikelihood(self, requests, disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """As the harness does it, without its bar; ours shows."""
        return super().loglikelihood(requests, disable_tqdm=True)

    @torch.no_grad()
    def _loglikelihood_tokens(self, requests: Sequence[Request], **_) -> list[tuple[float, bool]]:
        """For each (texts, context, continuation): log p of the continuation in nats, and whether it is the likeliest.

        Likeliest token by token. UserError for a continuation that the model can't read whole.
        """
        longest = max((len(written) for _, _, written in requests), default=0)
        if longest > self.max_length:
            raise UserError(
                f"{self.name}: reads {self.max_length} tokens at a time, an answer of the tasks has {longest}"
            )
        kept = [(read + written)[-(self.max_length + 1) :] for _, read, written in requests]
        lengths = np.array([len(tokens) for tokens in kept])
        order = np.argsort(-lengths, kind="stable")
        answers: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        with Progress(self.name, len(requests), "options") as progress:
            start = 0
            while start < len(order):
                longest = int(lengths[order[start]])
                rows = order[start : start + max(1, SLOTS // longest)]
                found = self._score([kept[i] for i in rows], [len(requests[i][2]) for i in rows], longest)
                for i, answer in zip(rows, found, strict=True):
                    answers[i] = answer
                start += len(rows)
                progress.advance(len(rows))
        return answers

    def _score(self, sequences: list[list[int]], written: list[int], longest: int) -> list[tuple[float, bool]]:
        """Of the last ``written`` tokens of each sequence."""
        padded = np.full((len(sequences), longest), self.rules.eos, dtype=np.int64)
        counted = np.zeros((len(sequences), longest - 1), dtype=bool)
        for row, (tokens, count) in enumerate(zip(sequences, written, strict=True)):
            padded[row, : len(tokens)] = tokens
            counted[row, max(len(tokens) - 1 - count, 0) : len(tokens) - 1] = True
        device = self.model.norm.weight.device
        tokens, places = torch.from_numpy(padded).to(device), torch.from_numpy(counted).to(device)
        logits = self.model.logits(self.model.hidden(tokens[:, :-1])[places]).float()
        targets = tokens[:, 1:][places]
        log_probs = logits.log_softmax(-1).gather(-1, targets[:, None])[:, 0].double().cpu()
        greedy = (logits.argmax(-1) == targets).cpu()
        sizes = counted.sum(1).tolist()
        parts = zip(log_probs.split(sizes), greedy.split(sizes), strict=True)
        return [(float(nats.sum()), bool(best.all())) for nats, best in parts]

    def loglikelihood_rolling(self, requests, disable_tqdm: bool = False) -> list[float]:
        """log p of each whole text in nats, in windows of ``max_length`` tokens."""
        owners: list[int] = []
        windows: list[Request] = []
        for number, request in enumerate(requests):
            ids = self.tok_encode(request.args[0], add_special_tokens=False)
            for window in get_rolling_token_windows(ids, self.prefix_token_id, self.max_length, 1):
                owners.append(number)
                windows.append((("", ""), *make_disjoint_window(window)))
        totals = np.zeros(len(requests))
        found = self._loglikelihood_tokens(windows)
        np.add.at(totals, owners, [log_prob for log_prob, _ in found])
        return totals.tolist()

    def generate_until(self, requests, disable_tqdm: bool = False) -> list[str]:
        """The likeliest text, token by token, up to the first of the request's marks."""
        written = []
        for request in requests:
            prompt, settings = request.args
            room = min(settings.get("max_gen_toks", LONGEST_ANSWER), self.max_length - 1)
            read = np.array(self.tok_encode(prompt)[-(self.max_length - room) :])
            config = SamplingConfig(temperature=0.0, min_tokens=0, max_tokens=room)
            drawn = sample(self.model, [read], config, self.rules, generator("greedy"), self.name)
            written.append(_before(self.rules.decode(drawn.tokens[0]), settings.get("until", [])))
        return written


def _before(text: str, marks: str | Sequence[str]) -> str:
    """The text up to the first of ``marks``."""
    for mark in [marks] if isinstance(marks, str) else marks:
        text = text.partition(mark)[0] if mark else text
    return text
