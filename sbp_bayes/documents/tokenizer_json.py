"""A tokenizer as a tokenizer.json that holds its specials too, as other programs want it; and back.

Our tokenizers keep bos, sep and eos out of their text rules. Elsewhere they are "added tokens" with names, so there a
prompt can be written as text: ``d1 + SEP`` becomes ``[bos] d1 [sep]``, and the pair (d1, d2) ``[bos] d1 [sep] d2``.
"""

import json

from sbp_bayes.documents.tokenizer import BpeTokenizer, SymbolTokenizer, Tokenizer
from sbp_bayes.errors import UserError

BOS, SEP, EOS = "<|sbp_bos|>", "<|sbp_sep|>", "<|sbp_eos|>"


def to_tokenizer_json(tokenizer: Tokenizer) -> str:
    """The rules with the three specials at their ids; text is encoded to the same ids as by ``tokenizer``.

    A symbol tokenizer becomes words "0".."V-1" separated by white space; any other word is an error there.
    UserError where the rules can't hold the specials: one of the names is taken, or text ids have holes.
    """
    from tokenizers import AddedToken, models, pre_tokenizers, processors
    from tokenizers import Tokenizer as Rules

    if isinstance(tokenizer, BpeTokenizer):
        rules = Rules.from_str(tokenizer.rules)
        rules.no_truncation()
        rules.no_padding()
    elif isinstance(tokenizer, SymbolTokenizer):
        words = {str(symbol): symbol for symbol in range(tokenizer.symbols)}
        rules = Rules(models.WordLevel(words, unk_token="<unknown>"))
        rules.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:
        raise UserError(f"tokenizer of kind {tokenizer.kind!r}: no tokenizer.json can say it (known: symbols, bpe)")
    taken = [name for name in (BOS, SEP, EOS) if rules.token_to_id(name) is not None]
    if taken:
        raise UserError(f"the tokenizer uses {taken[0]} for text, which the export needs for a special token")
    rules.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in (BOS, SEP, EOS)])
    specials = {BOS: tokenizer.bos, SEP: tokenizer.sep, EOS: tokenizer.eos}
    for name, wanted in specials.items():
        if rules.token_to_id(name) != wanted:
            raise UserError(
                f"the tokenizer's ids have holes: {name} would become {rules.token_to_id(name)}, the model has {wanted}"
            )
    rules.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {SEP} $B", special_tokens=list(specials.items())
    )
    return rules.to_str()


def from_tokenizer_json(content: str) -> Tokenizer:
    """The tokenizer of a tokenizer.json, with or without our specials in it.

    One that was trained here comes back with the fingerprint it had. Raises ValueError for broken JSON, and whatever
    the ``tokenizers`` library raises for rules it does not know.
    """
    rules = json.loads(content)
    added = rules.get("added_tokens", [])
    if not {BOS, SEP, EOS} <= {token["content"] for token in added}:
        return BpeTokenizer(content)
    rules["added_tokens"] = [token for token in added if token["content"] not in (BOS, SEP, EOS)]
    rules["post_processor"] = None
    model = rules["model"]
    if model.get("type") == "WordLevel" and model["vocab"] == {str(i): i for i in range(len(model["vocab"]))}:
        return SymbolTokenizer(len(model["vocab"]))
    return BpeTokenizer(json.dumps(rules, ensure_ascii=False, separators=(",", ":")))
