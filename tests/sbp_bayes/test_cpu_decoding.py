"""Prompts and steps in their form for CPUs are the model's."""

import pytest
import torch

from sbp_bayes.model.cpu_decoding import CpuDecoder
from sbp_bayes.seeds import generator


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("shape", [dict(kv_heads=2), dict(kv_heads=4, tied=False), dict(kv_heads=1, head_dim=16)])
@torch.no_grad()
def test_prompts_and_steps_equal_the_models(make_model, shape, ragged):
    model = make_model(**shape)
    model.embed_tokens.weight[3].mul_(1e-4)  # where the norm's eps counts
    prompts = torch.randint(14, (5, 7), generator=generator("prompts"))
    lengths = torch.tensor([7, 3, 5, 6, 1]) if ragged else torch.full((5,), 7)
    caches = [model.new_cache(5, 12) for _ in range(2)]
    decoder = CpuDecoder(model)
    found = decoder.prompt(prompts, lengths, caches[0])
    expected = model.hidden(prompts, cache=caches[1])[torch.arange(5), lengths - 1]
    assert (found - expected).abs().max() < 1e-5
    for step, token in enumerate((3, 9, 0)):
        tokens, positions = torch.full((5,), token), lengths + step
        slots = int(positions.max()) + 1
        found = decoder.step(tokens, positions, caches[0], slots, ragged)
        expected = model.hidden(tokens[:, None], positions[:, None], cache=caches[1], slots=slots, ragged=ragged)
        assert (found - expected[:, 0]).abs().max() < 1e-5
    for ours, theirs in ((caches[0].keys, caches[1].keys), (caches[0].values, caches[1].values)):
        assert (ours - theirs).abs().max() < 1e-5
