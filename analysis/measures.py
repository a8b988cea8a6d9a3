"""The names under which measures and their subjects appear in a results table; defined here and nowhere else.

`paper_figs` reads results files and imports nothing of ours, so it keeps its own copy; a test holds the two together.
"""

# Synthesizers, nats: teacher-forced KL from the exact predictive.
BAYES_GAP = "bayes_gap"  # nats/document
BAYES_GAP_PER_TOKEN = "bayes_gap_per_token"  # nats/token
BAYES_GAP_FRACTION = "bayes_gap_fraction"  # share of I(d1;d2): 0 is exact Bayes, 1 is what ignoring d1 costs
BAYES_GAP_AT_POSITION = "bayes_gap_at_position"  # nats/token, at = position in d2, from 0

# The world itself, nats/document.
CONCEPT_ENTROPY = "information H(c|d1)"
CONCEPT_INFORMATION = "information I(c;d1)"
PAIR_INFORMATION = "information I(d1;d2)"
HELDOUT_PAIR_INFORMATION = "P13 information on held-out pairs"  # a synthesizer's, beside I(d1;d2) as null
HELDOUT_PAIR_INFORMATION = "information on held-out pairs"  # a synthesizer's; more than I(d1;d2) is an alarm
LOG_CONCEPTS = "information log C"
EXACT_VALIDATION_LOSS = "exact_validation_loss"  # nats/target with the end of document, as training metrics count

# Arms; each has one row at the end of the budget and one at the best validation checkpoint.
FINAL, BEST = "final", "best"
CHECKPOINTS = (FINAL, BEST)
EXCESS_LOSS = "excess_loss"  # nats/token above exact Bayes
EXCESS_LOSS_PER_DOCUMENT = "excess_loss_per_document"  # nats/document
HELDOUT_LOSS = "heldout_loss"  # nats/token
GAIN = "gain"  # nats/token: repetition minus the arm
RECOVERED = "recovered"  # share of the oracle gap: (repetition - arm) / (repetition - oracle)

# Narrations. Questions: the subject is an arm (a text to go on with), or a synthesizer (a related document read).
QA_ACCURACY = "qa_accuracy"  # share; at a checkpoint, like losses
QA_CEILING = "qa_ceiling"  # of exact Bayes, on the same questions
RELATED_QA_ACCURACY = "related_qa_accuracy"
# What an arm's synthetic documents say; the null is exact Bayes' share on the same seed documents.
VALID_DOCUMENTS = "valid_documents"  # share that the world can write
VALID_SENTENCES = "valid_sentences"  # share that are the world's, document by document
FACTS_KEPT = "facts_kept"  # share of what d1 and d2 both mention that they agree on
UNTRUE_FACTS = "untrue_facts"  # share of d2's facts that are not true of d1's person
HALLUCINATION_FLOOR = "hallucination_floor"  # of one attribute, mean over attributes
HALLUCINATION_FLOOR_PERSON = "hallucination_floor person"

# Pairs; the subject is the pairing rule.
PAIRS = "pairs"
PAIRING_PRECISION = "pairing_precision"

# Bayes gap against pairs, bits/token: points (at = pairs) and floor + scale * pairs ** -exponent through them.
LEARNING_CURVE = "learning_curve"
LEARNING_CURVE_FLOOR = "learning_curve floor"
LEARNING_CURVE_SCALE = "learning_curve scale"
LEARNING_CURVE_EXPONENT = "learning_curve exponent"

# Subjects.
SYNTHESIZER = "synthesizer"
RANDOM_PAIRS_SYNTHESIZER = "synthesizer random-pairs"
EXPLICIT = "explicit"  # latent classes with an amortised posterior
EXPLICIT_SHARED = "explicit shared"  # the same with the exact posterior of its own decoder
WORLD = "world"
EXACT = "exact"
PRIOR = "prior"
MAP = "MAP"
REPETITION, SBP, RANDOM_PAIRS, ORACLE = "repetition", "sbp", "random-pairs", "oracle"
SBP_MINUS_RANDOM_PAIRS = "sbp - random-pairs"


def at_checkpoint(measure: str, checkpoint: str) -> str:
    """``excess_loss`` at ``best`` is the measure ``excess_loss best``."""
    assert checkpoint in CHECKPOINTS, checkpoint
    return f"{measure} {checkpoint}"
