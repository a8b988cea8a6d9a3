"""Export and import against transformers itself: logits, log-probabilities, tokenizers, and folders that are broken."""

import json
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer as Rules

from sbp_bayes.documents.tokenizer import BpeTokenizer, SymbolTokenizer
from sbp_bayes.errors import UserError
from sbp_bayes.model.hugging_face import export_model, import_model
from sbp_bayes.model.transformer import ModelConfig, Transformer
from sbp_bayes.seeds import generator
from sbp_bayes.synthesis.sampler import SamplingConfig, sample

TEXTS = ["The cat sat on the mat.", "  Zwei Hüte, drei Katzen\n\tund  eine Maus ", "<|endoftext|> 猫 cat cat", "a"]
SMALL = dict(width=24, layers=2, heads=4, kv_heads=2, head_dim=8, hidden=40)
SHAPES = [
    dict(tied=True),
    dict(tied=False, rope_theta=5e5, norm_eps=1e-5),
    dict(tied=True, heads=3, kv_heads=3),
    dict(tied=False, heads=4, kv_heads=1, head_dim=16, layers=1),
]


@pytest.fixture(scope="module")
def transformers():
    """transformers without a network and without its opinions on being imported."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for switch in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
            patch.setenv(switch, "1")
        import transformers

        transformers.AutoModelForCausalLM, transformers.AutoTokenizer  # noqa: B018 (imported lazily)
        yield transformers


@pytest.fixture(scope="module")
def bpe() -> BpeTokenizer:
    return BpeTokenizer.train(TEXTS * 3, 290)


def model_for(tokenizer, **shape) -> Transformer:
    """A small model with gains that show and logits of order 1."""
    model = Transformer(ModelConfig(vocabulary_size=tokenizer.vocabulary_size, **{**SMALL, **shape}))
    model.init(generator("exported model"))
    with torch.no_grad():
        noise = generator("gains of the exported model")
        for weight in model.parameters():
            if weight.dim() == 1:
                weight.add_(0.3 * torch.randn(weight.shape, generator=noise))
        model.embed_tokens.weight.mul_(20)
    return model


def open_there(transformers, folder, **options):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()


def some_tokens(vocabulary: int) -> torch.Tensor:
    return torch.randint(vocabulary, (3, 17), generator=generator("exported tokens"))


def assert_same_logits(ours: Transformer, theirs, tokens: torch.Tensor) -> None:
    with torch.no_grad():
        found, expected = ours(tokens), theirs(tokens).logits
    assert expected.std() > 0.1
    assert (found - expected).abs().max() < 1e-4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shard_bytes", [10**9, 3000])
def test_exported_logits_are_ours(transformers, tokenizer, tmp_path, shape, shard_bytes):
    model = model_for(tokenizer, **shape)
    export_model(model, tokenizer, tmp_path / "out", context=32, shard_bytes=shard_bytes)
    assert (tmp_path / "out" / "model.safetensors").exists() == (shard_bytes == 10**9)
    assert_same_logits(model, open_there(transformers, tmp_path / "out"), some_tokens(tokenizer.vocabulary_size))
    again, rules = import_model(tmp_path / "out")
    assert again.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))
    assert rules.fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_imported_logits_are_those_of_transformers(transformers, bpe, tmp_path, shape, dtype):
    ours = ModelConfig(**{**SMALL, **shape}, vocabulary_size=300)
    config = transformers.Qwen3Config(
        vocab_size=ours.vocabulary_size,
        hidden_size=ours.width,
        num_hidden_layers=ours.layers,
        num_attention_heads=ours.heads,
        num_key_value_heads=ours.kv_heads,
        head_dim=ours.head_dim,
        intermediate_size=ours.hidden,
        tie_word_embeddings=ours.tied,
        rms_norm_eps=ours.norm_eps,
        rope_theta=ours.rope_theta,
        initializer_range=0.4,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.Qwen3ForCausalLM(config).to(dtype).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(bpe.rules)
    model, rules = import_model(tmp_path)
    assert model.config == ours
    assert rules.fingerprint == bpe.fingerprint
    assert_same_logits(model, open_there(transformers, tmp_path), some_tokens(300))


@pytest.mark.parametrize("kind", ["symbols", "bpe"])
def test_a_synthesizer_elsewhere_gives_the_same_log_probabilities(transformers, tokenizer, bpe, tmp_path, kind):
    rules, d1 = (tokenizer, ["3 1 4 1 5 9", "2 6"]) if kind == "symbols" else (bpe, TEXTS[:2])
    model = model_for(rules)
    export_model(model, rules, tmp_path / "out", context=200)
    there = open_there(transformers, tmp_path / "out")
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    prompts = [np.array([rules.bos, *ids, rules.sep]) for ids in rules.encode(d1)]
    written = sample(model, prompts, SamplingConfig(max_tokens=12), rules, generator("export"))
    for text, prompt, tokens, expected in zip(d1, prompts, written.tokens, written.log_probs, strict=True):
        ids = words(text + words.sep_token)["input_ids"]
        assert ids == prompt.tolist()
        after = [*tokens, rules.eos][: len(expected)]
        sequence = torch.tensor([[*ids, *after]])
        with torch.no_grad():
            logits = there(sequence).logits[0, len(ids) - 1 : -1]
        found = logits.double().log_softmax(-1)[torch.arange(len(after)), sequence[0, len(ids) :]]
        assert np.abs(found.numpy() - expected).max() < 1e-4


def test_most_likely_documents_are_the_same_in_a_padded_batch(transformers, tokenizer, tmp_path):
    model = model_for(tokenizer)
    with torch.no_grad():  # so that bos and sep would be drawn if they could
        model.embed_tokens.weight[[tokenizer.bos, tokenizer.sep]] *= 3
    export_model(model, tokenizer, tmp_path / "out", context=64)
    there = open_there(transformers, tmp_path / "out")
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    d1 = ["3 1 4 1 5 9", "2 6", "7 7 0"]
    read = words([text + words.sep_token for text in d1], padding=True, return_tensors="pt")
    greedy = dict(do_sample=False, temperature=None, top_p=None, top_k=None)
    found = there.generate(**read, **greedy, max_new_tokens=20, min_new_tokens=1)
    prompts = [np.array([tokenizer.bos, *ids, tokenizer.sep]) for ids in tokenizer.encode(d1)]
    written = sample(model, prompts, SamplingConfig(temperature=0, max_tokens=20), tokenizer, generator("export"))
    for row, tokens in zip(found[:, read["input_ids"].shape[1] :].tolist(), written.tokens, strict=True):
        assert row[: len(tokens)] == tokens.tolist()
        assert len(tokens) == 20 or set(row[len(tokens) :]) == {tokenizer.eos}


def test_sampling_defaults_are_the_models_own_law(transformers, tokenizer, tmp_path):
    export_model(model_for(tokenizer), tokenizer, tmp_path / "out", context=64)
    defaults = open_there(transformers, tmp_path / "out").generation_config
    assert (defaults.do_sample, defaults.temperature, defaults.top_p, defaults.top_k) == (True, 1.0, 1.0, 0)
    assert defaults.eos_token_id == defaults.pad_token_id == tokenizer.eos
    assert sorted(defaults.suppress_tokens) == [tokenizer.bos, tokenizer.sep]


def test_tokenizers_agree_on_text_and_pairs(transformers, bpe, tmp_path):
    export_model(model_for(bpe), bpe, tmp_path / "out", context=64)
    for family in (transformers.AutoTokenizer, transformers.PreTrainedTokenizerFast):
        words = family.from_pretrained(tmp_path / "out")
        for text, ids in zip(TEXTS, bpe.encode(TEXTS), strict=True):
            assert words(text)["input_ids"] == [bpe.bos, *ids]
            assert words(text, add_special_tokens=False)["input_ids"] == ids.tolist()
            assert words.decode([bpe.bos, *ids, bpe.eos], skip_special_tokens=True) == text
            assert words(text, text)["input_ids"] == [bpe.bos, *ids, bpe.sep, *ids]
        assert (words.bos_token_id, words.sep_token_id, words.eos_token_id) == (bpe.bos, bpe.sep, bpe.eos)
    assert import_model(tmp_path / "out")[1].fingerprint == bpe.fingerprint


def test_symbols_are_words_and_others_are_refused(transformers, tmp_path):
    symbols = SymbolTokenizer(12)
    export_model(model_for(symbols), symbols, tmp_path / "out", context=64)
    words = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path / "out")
    assert words("3  11\n0")["input_ids"] == [symbols.bos, 3, 11, 0]
    assert words.decode([symbols.bos, 3, 11, 0], skip_special_tokens=True) == "3 11 0"
    with pytest.raises(Exception, match="Missing"):
        words("3 12")
    assert isinstance(import_model(tmp_path / "out")[1], SymbolTokenizer)


def test_a_tokenizer_saved_by_transformers_comes_back(transformers, bpe, tmp_path):
    export_model(model_for(bpe), bpe, tmp_path / "out", context=64)
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    words.save_pretrained(tmp_path / "out")
    rules = import_model(tmp_path / "out")[1]
    assert rules.vocabulary_size == bpe.vocabulary_size
    assert all(np.array_equal(a, b) for a, b in zip(rules.encode(TEXTS), bpe.encode(TEXTS), strict=True))


def edit(path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_weights(path, change) -> None:
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


NORM = "model.norm.weight"
BREAKAGES = {
    "config.json: not found": lambda f: (f / "config.json").unlink(),
    "config.json: not readable as JSON": lambda f: (f / "config.json").write_text("{"),
    "config.json: model_type is 'llama', expected 'qwen3'": lambda f: edit(f / "config.json", model_type="llama"),
    "attention_bias = 'True' is not supported": lambda f: edit(f / "config.json", attention_bias=True),
    "RoPE of type 'yarn'": lambda f: edit(f / "config.json", rope_parameters={"rope_type": "yarn", "factor": 4.0}),
    "config.json: head_dim = None, expected": lambda f: edit(f / "config.json", head_dim=None),
    "config.json: model.kv_heads: 3 does not divide": lambda f: edit(f / "config.json", num_key_value_heads=3),
    "tokenizer.json: not found": lambda f: (f / "tokenizer.json").unlink(),
    "tokenizer.json: not a tokenizer.json": lambda f: (f / "tokenizer.json").write_text("[]"),
    "the tokenizer has 14 ids with bos, sep and eos, the model 13": lambda f: edit(f / "config.json", vocab_size=13),
    "model.safetensors: not found": lambda f: (f / "model.safetensors").unlink(),
    "model.safetensors: damaged": lambda f: (f / "model.safetensors").write_bytes(b"x" * 40),
    f"1 tensors are missing from the weights, the first is {NORM}": lambda f: edit_weights(
        f / "model.safetensors", lambda w: w.pop(NORM)
    ),
    rf"{NORM} is \[23\] of float32, expected floats of shape \[24\]": lambda f: edit_weights(
        f / "model.safetensors", lambda w: w.update({NORM: w[NORM][:23].clone()})
    ),
    f"{NORM} is .* of int8": lambda f: edit_weights(
        f / "model.safetensors", lambda w: w.update({NORM: w[NORM].to(torch.int8)})
    ),
    "unexpected tensor model.bias": lambda f: edit_weights(
        f / "model.safetensors", lambda w: w.update({"model.bias": torch.zeros(2)})
    ),
}


@pytest.mark.parametrize("message", BREAKAGES)
def test_a_broken_folder_is_named_in_one_line(tokenizer, tmp_path, message):
    folder = tmp_path / "out"
    export_model(model_for(tokenizer), tokenizer, folder, context=64)
    BREAKAGES[message](folder)
    with pytest.raises(UserError, match=message) as raised:
        import_model(folder)
    assert "\n" not in str(raised.value)


def test_a_missing_or_broken_shard_is_named(tokenizer, tmp_path):
    folder = tmp_path / "out"
    export_model(model_for(tokenizer), tokenizer, folder, context=64, shard_bytes=9000)
    first = sorted(folder.glob("model-*.safetensors"))[0]
    first.unlink()
    with pytest.raises(UserError, match=f"{first.name}: not found"):
        import_model(folder)
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(UserError, match=r"index\.json: not an index"):
        import_model(folder)


def test_an_export_never_overwrites_and_leaves_nothing_half_done(tokenizer, bpe, tmp_path):
    model = model_for(tokenizer)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("kept")
    with pytest.raises(UserError, match="not an empty folder"):
        export_model(model, tokenizer, tmp_path / "used", context=64)
    with pytest.raises(UserError, match=r"the tokenizer has .* ids, the model 14"):
        export_model(model, bpe, tmp_path / "new", context=64)
    with pytest.raises(UserError, match="can't write there"):
        export_model(model, tokenizer, tmp_path / "used" / "mine.txt" / "new", context=64)
    with pytest.raises(ValueError, match="JSON"):
        export_model(model, tokenizer, tmp_path / "new", context=64, origin={"loss": float("nan")})
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


def test_a_tokenizer_whose_ids_have_holes_or_our_names_is_not_exported(bpe, tmp_path):
    rules = json.loads(bpe.rules)
    last = max(rules["model"]["vocab"], key=rules["model"]["vocab"].get)
    rules["model"]["vocab"][last] += 5
    holed = BpeTokenizer(json.dumps(rules))
    with pytest.raises(UserError, match="holes"):
        export_model(model_for(holed), holed, tmp_path / "new", context=64)
    renamed = Rules.from_str(bpe.rules)
    renamed.add_tokens(["<|sbp_sep|>"])
    named = BpeTokenizer(renamed.to_str())
    with pytest.raises(UserError, match=r"uses <\|sbp_sep\|> for text"):
        export_model(model_for(named), named, tmp_path / "new", context=64)
