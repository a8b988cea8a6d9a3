"""Models as Hugging Face folders of the architecture Qwen3, which is ours: written, and read back.

config.json, generation_config.json, model.safetensors (or shards and their index), tokenizer.json and
tokenizer_config.json: what transformers, vLLM and others open without code of ours. Nothing here needs them.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sbp_bayes import __version__
from sbp_bayes.documents.tokenizer import Tokenizer
from sbp_bayes.documents.tokenizer_json import BOS, EOS, SEP, from_tokenizer_json, to_tokenizer_json
from sbp_bayes.errors import UserError
from sbp_bayes.files import read_json, sync_folder, write_json, write_text
from sbp_bayes.model.transformer import ModelConfig, Transformer
from sbp_bayes.model.weights import write_weights

CONFIG, GENERATION, WEIGHTS = "config.json", "generation_config.json", "model.safetensors"
INDEX, RULES, RULES_CONFIG = "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"
SHARD_BYTES = 5 * 10**9
HEAD = "lm_head.weight"

# Our name of each number of the shape, and Qwen3's.
SHAPE = {
    "vocabulary_size": "vocab_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "hidden": "intermediate_size",
}
# What a Qwen3 may be and our model is not: key, and the values that mean it is not so.
VARIANTS: dict[str, tuple] = {
    "hidden_act": ("silu", None),
    "attention_bias": (False, None),
    "use_sliding_window": (False, None),
    "quantization_config": (None,),
}
FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def export_model(
    model: Transformer,
    tokenizer: Tokenizer,
    folder: Path,
    *,
    context: int,
    origin: dict[str, Any] | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write ``model`` and ``tokenizer`` into ``folder``, new or empty; the folder appears whole or not at all.

    context: tokens of the longest sequence the model was trained on, for engines that reserve memory by it; origin:
    plain JSON that says where the model comes from, kept in config.json under "sbp_bayes"; shard_bytes: weights beyond
    this many bytes are spread over several files. Sampling defaults are the model's own law: temperature 1, nothing
    truncated. Raises UserError for a folder in use, a tokenizer with more ids than the model, and a full disk.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: exists and is not an empty folder; name another, or delete it first")
    if tokenizer.vocabulary_size > model.config.vocabulary_size:
        ids = f"the tokenizer has {tokenizer.vocabulary_size} ids, the model {model.config.vocabulary_size}"
        raise UserError(f"{folder}: not exported, {ids}")
    rules = to_tokenizer_json(tokenizer)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise UserError(f"{folder}: can't write there ({error.strerror})") from error
    try:
        write_json(partial / CONFIG, _config(model, tokenizer, context, origin or {}))
        write_json(partial / GENERATION, _generation_config(tokenizer, context))
        write_text(partial / RULES, rules)
        write_json(partial / RULES_CONFIG, _tokenizer_config(context))
        _write_weights(model, partial, shard_bytes)
        partial.chmod(0o755)
        partial.replace(folder)
        sync_folder(folder.parent)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder}: could not be written ({getattr(error, 'strerror', None) or error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _config(model: Transformer, tokenizer: Tokenizer, context: int, origin: dict[str, Any]) -> dict[str, Any]:
    config = model.config
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        **{theirs: getattr(config, ours) for ours, theirs in SHAPE.items()},
        "tie_word_embeddings": config.tied,
        "rms_norm_eps": config.norm_eps,
        # transformers 4 reads the first, 5 the second.
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "max_position_embeddings": context,
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "use_sliding_window": False,
        "torch_dtype": str(model.norm.weight.dtype).removeprefix("torch."),
        "bos_token_id": tokenizer.bos,
        "eos_token_id": tokenizer.eos,
        "pad_token_id": tokenizer.eos,
        "sbp_bayes": {"version": __version__, "tokenizer": tokenizer.fingerprint, **origin},
    }


def _generation_config(tokenizer: Tokenizer, context: int) -> dict[str, Any]:
    """Sampling as `sbp_bayes.synthesis.sampler` does it: from the whole law, bos and sep never drawn."""
    return {
        "bos_token_id": tokenizer.bos,
        "eos_token_id": tokenizer.eos,
        "pad_token_id": tokenizer.eos,
        "do_sample": True,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "suppress_tokens": [tokenizer.bos, tokenizer.sep],
        "max_new_tokens": context,
    }


def _tokenizer_config(context: int) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "sep_token": SEP,
        "eos_token": EOS,
        "pad_token": EOS,
        "padding_side": "left",  # prompts of a batch must end together
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
    }


def _write_weights(model: Transformer, folder: Path, shard_bytes: int) -> None:
    """One file, or shards filled in order; a tensor larger than a shard has one of its own."""
    shards: list[dict[str, Tensor]] = [{}]
    total = filled = 0
    for name, weight in model.named_parameters():
        tensor = weight.detach().cpu().contiguous()
        if shards[-1] and filled + tensor.nbytes > shard_bytes:
            shards.append({})
            filled = 0
        shards[-1][_their_name(name)] = tensor
        filled += tensor.nbytes
        total += tensor.nbytes
    if len(shards) == 1:
        _save(shards[0], folder / WEIGHTS)
        return
    names = [f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        _save(shard, folder / name)
    places = {tensor: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": places})


def _save(weights: dict[str, Tensor], path: Path) -> None:
    write_weights(path, weights, {"format": "pt"})


def _their_name(name: str) -> str:
    return name if name == HEAD else f"model.{name}"


def import_model(folder: Path) -> tuple[Transformer, Tokenizer]:
    """Read a Qwen3 folder, exported here or written by transformers: the model in float32, and its tokenizer.

    A tokenizer that lacks our specials gets them above its own ids, where the model's embedding must have room.
    UserError: no such folder, another architecture, weights missing, damaged or of a wrong shape, no tokenizer.
    """
    folder = Path(folder)
    config = _read_config(folder / CONFIG)
    tokenizer = _read_tokenizer(folder / RULES)
    if tokenizer.vocabulary_size > config.vocabulary_size:
        ids = f"{tokenizer.vocabulary_size} ids with bos, sep and eos, the model {config.vocabulary_size}"
        raise UserError(f"{folder / RULES}: the tokenizer has {ids}")
    model = Transformer(config)
    missing = {_their_name(name): weight for name, weight in model.named_parameters()}
    for path, name, tensor in _read_weights(folder):
        if name == HEAD and config.tied:
            continue  # some writers store the embedding twice
        if name not in missing:
            raise UserError(f"{path}: unexpected tensor {name}, which no Qwen3 of this config.json has")
        weight = missing.pop(name)
        if tensor.shape != weight.shape or tensor.dtype not in FLOATS:
            found = f"{list(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
            raise UserError(f"{path}: {name} is {found}, expected floats of shape {list(weight.shape)}")
        with torch.no_grad():
            weight.copy_(tensor)
    if missing:
        raise UserError(f"{folder}: {len(missing)} tensors are missing from the weights, the first is {min(missing)}")
    return model, tokenizer


def _read_config(path: Path) -> ModelConfig:
    config = read_json(path)
    if not isinstance(config, dict) or config.get("model_type") != "qwen3":
        found = repr(config.get("model_type")) if isinstance(config, dict) else "missing"
        raise UserError(f"{path}: model_type is {found}, expected 'qwen3'")
    for key, plain in VARIANTS.items():
        if config.get(key) not in plain:
            raise UserError(f"{path}: {key} = {str(config[key])[:60]!r} is not supported, expected {plain[0]!r}")
    # transformers 5 writes rope_parameters; 4 writes rope_theta, and rope_scaling where there is a variant.
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default")) if isinstance(rope, dict) else rope
    if kind != "default":
        raise UserError(f"{path}: RoPE of type {kind!r} is not supported, expected 'default'")
    for key in SHAPE.values():
        if type(config.get(key)) is not int:
            raise UserError(f"{path}: {key} = {config.get(key)!r}, expected a whole number")
    try:
        return ModelConfig(
            **{ours: config[theirs] for ours, theirs in SHAPE.items()},
            # The defaults of transformers' Qwen3Config.
            tied=bool(config.get("tie_word_embeddings", False)),
            rope_theta=float(rope.get("rope_theta", config.get("rope_theta", 1e4))),
            norm_eps=float(config.get("rms_norm_eps", 1e-6)),
        )
    except (UserError, TypeError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        return from_tokenizer_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found") from error
    except Exception as error:  # the library raises bare Exception for a file that is no tokenizer
        raise UserError(f"{path}: not a tokenizer.json ({error})") from error


def _read_weights(folder: Path) -> Iterator[tuple[Path, str, Tensor]]:
    """(file, name, tensor) of every tensor, one in memory at a time."""
    paths = [folder / WEIGHTS]
    if not paths[0].exists() and (folder / INDEX).exists():
        index = read_json(folder / INDEX)
        try:
            paths = [folder / name for name in sorted(set(index["weight_map"].values()))]
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{folder / INDEX}: not an index of shards ({error!r})") from error
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: not found, expected the model's weights")
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 (not a mapping)
                    yield path, name, file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path}: damaged, or not safetensors ({str(error).splitlines()[0]})") from error
