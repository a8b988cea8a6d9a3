"""Names of measures and subjects as they stand in results files, and how a figure calls them.

A copy of `analysis.measures`, because figures import nothing but files; a test holds the two together.
"""

BAYES_GAP = "bayes_gap"
BAYES_GAP_PER_TOKEN = "bayes_gap_per_token"
BAYES_GAP_FRACTION = "bayes_gap_fraction"
BAYES_GAP_AT_POSITION = "bayes_gap_at_position"
CONCEPT_ENTROPY = "information H(c|d1)"
CONCEPT_INFORMATION = "information I(c;d1)"
PAIR_INFORMATION = "information I(d1;d2)"
HELDOUT_PAIR_INFORMATION = "information on held-out pairs"
LOG_CONCEPTS = "information log C"
EXACT_VALIDATION_LOSS = "exact_validation_loss"
EXCESS_LOSS = "excess_loss"
EXCESS_LOSS_OF_RANKS = "excess_loss of ranks"
HELDOUT_LOSS = "heldout_loss"
HELDOUT_LOSS_OF = "heldout_loss of"
GAIN = "gain"
RECOVERED = "recovered"
QA_ACCURACY = "qa_accuracy"
QA_CEILING = "qa_ceiling"
RELATED_QA_ACCURACY = "related_qa_accuracy"
VALID_DOCUMENTS = "valid_documents"
VALID_SENTENCES = "valid_sentences"
FACTS_KEPT = "facts_kept"
UNTRUE_FACTS = "untrue_facts"
HALLUCINATION_FLOOR = "hallucination_floor"
HALLUCINATION_FLOOR_PERSON = "hallucination_floor person"
TASK = "task"
PAIRS = "pairs"
PAIRING_PRECISION = "pairing_precision"
REAL = "real"
TEXT_REPETITION = "text repetition"
TEXT_DUPLICATES = "text duplicates"
TEXT_NEAR_DUPLICATES = "text near-duplicates"
TEXT_DISTINCT = "text distinct runs"
TEXT_WORDS = "text words"
TEXT_WORDS_QUANTILE = "text words quantile"
TEXT_LENGTH_DISTANCE = "text length distance"
TEXT_PAIR_COPYING = "text pair-copying"
TEXT_CORPUS_COPYING = "text corpus-copying"
TEXT_LONGEST_RUN = "text longest run of d1"
TEXT_NOVELTY_TO_D1 = "text novelty to d1"
TEXT_NOVELTY_TO_CORPUS = "text novelty to D"
TEXT_SIMILARITY_TO_D1 = "text similarity to d1"
TEXT_SIMILARITY_TO_PARTNER = "text similarity to a partner of d1"
TEXT_SIMILARITY_TO_RANDOM = "text similarity to another d1"
TEXT_HEADWORD = "text headword"
TEXT_HEADWORD_NAMED = "text headword named"
TEXT_LOSS = "text loss under"
TEXT_REJECTED = "text rejected:"
TEXT_NOT_FACTUAL = "text non-factual"
TEXT_IRRELEVANT = "text pair-irrelevance"
TEXT_UNJUDGED = "text without a judgement"
LEARNING_CURVE = "learning_curve"
LEARNING_CURVE_FLOOR = "learning_curve floor"
LEARNING_CURVE_SCALE = "learning_curve scale"
LEARNING_CURVE_EXPONENT = "learning_curve exponent"
FINAL, BEST = "final", "best"

WORLD = "world"
EXACT = "exact"
PRIOR = "prior"
MAP = "MAP"
SYNTHESIZER = "synthesizer"
RANDOM_PAIRS_SYNTHESIZER = "synthesizer random-pairs"
EXPLICIT = "explicit"
EXPLICIT_SHARED = "explicit shared"
REPETITION, SBP, RANDOM_PAIRS, ORACLE = "repetition", "sbp", "random-pairs", "oracle"
SBP_MINUS_RANDOM_PAIRS = "sbp - random-pairs"

ARM_LABELS = {
    REPETITION: "repetition",
    SBP: "SBP",
    RANDOM_PAIRS: "SBP (random pairs)",
    "continuation": "continuation of d1",
    "self-generation": "self-generation",
    EXACT: "exact-Bayes text",
    ORACLE: "oracle",
    REAL: "real",
    SBP_MINUS_RANDOM_PAIRS: "SBP less random pairs",
}
SYNTHESIZER_LABELS = {
    SYNTHESIZER: "synthesizer",
    RANDOM_PAIRS_SYNTHESIZER: "synthesizer (random pairs)",
    EXACT: "exact Bayes",
    PRIOR: "prior (ignores d1)",
    MAP: "MAP (one concept)",
    EXPLICIT: "explicit (own encoder)",
    EXPLICIT_SHARED: "explicit (decoder's posterior)",
    "exact T=0.7": "exact at temperature 0.7",
    "exact T=1.3": "exact at temperature 1.3",
    "label-swapped": "concepts swapped",
}


def arm_label(arm: str) -> str:
    """How figures and tables call an arm."""
    return ARM_LABELS.get(arm, arm)


def synthesizer_label(synthesizer: str) -> str:
    """How figures and tables call a synthesizer."""
    return SYNTHESIZER_LABELS.get(synthesizer, synthesizer)


def at_checkpoint(measure: str, checkpoint: str) -> str:
    """``excess_loss`` at ``best`` is the measure ``excess_loss best``."""
    return f"{measure} {checkpoint}"
