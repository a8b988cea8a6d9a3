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
HELDOUT_PAIR_INFORMATION = "information on held-out pairs"  # a synthesizer's; more than I(d1;d2) is an alarm
LOG_CONCEPTS = "information log C"
EXACT_VALIDATION_LOSS = "exact_validation_loss"  # nats/target with the end of document, as training metrics count

# Arms; each has one row at the end of the budget and one at the best validation checkpoint.
FINAL, BEST = "final", "best"
CHECKPOINTS = (FINAL, BEST)
EXCESS_LOSS = "excess_loss"  # nats/token above exact Bayes
EXCESS_LOSS_OF_RANKS = (
    "excess_loss of ranks"  # the same on concepts of ranks at .. 2 at - 1 by their prior, 1 the most frequent
)
EXCESS_LOSS_PER_DOCUMENT = "excess_loss_per_document"  # nats/document
HELDOUT_LOSS = "heldout_loss"  # nats/token
HELDOUT_LOSS_OF = "heldout_loss of"  # nats/token; a source of the corpus follows
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

# Tasks of lm-evaluation-harness: share of items or perplexity; the task's name and the harness's metric follow.
TASK = "task"

# Pairs; the subject is the pairing rule.
PAIRS = "pairs"
PAIRING_PRECISION = "pairing_precision"

# Quality of text (analysis.quality); the subject is an arm whose synthetic corpus is measured, or real text.
REAL = "real"
TEXT_REPETITION = "text repetition"  # share of documents; at = words of the run that occurs twice
TEXT_DUPLICATES = "text duplicates"  # share of documents that equal an earlier one
TEXT_NEAR_DUPLICATES = "text near-duplicates"
TEXT_DISTINCT = "text distinct runs"  # share of runs; at = words of a run
TEXT_WORDS = "text words"  # words/document
TEXT_WORDS_QUANTILE = "text words quantile"  # at = quantile
TEXT_LENGTH_DISTANCE = "text length distance"  # from real lengths, 0 to 1
TEXT_PAIR_COPYING = "text pair-copying"  # share of documents with a run of 13 words of d1, or all of them in it
TEXT_CORPUS_COPYING = "text corpus-copying"  # the same in any document of D
TEXT_LONGEST_RUN = "text longest run of d1"  # words
TEXT_NOVELTY_TO_D1 = "text novelty to d1"  # share of runs that d1 does not have; at = words of a run
TEXT_NOVELTY_TO_CORPUS = "text novelty to D"
TEXT_SIMILARITY_TO_D1 = "text similarity to d1"  # cosine
TEXT_SIMILARITY_TO_PARTNER = "text similarity to a partner of d1"
TEXT_SIMILARITY_TO_RANDOM = "text similarity to another d1"
TEXT_HEADWORD = "text headword"  # share of documents whose nearest real entry, d1 left out, has d1's headword
TEXT_HEADWORD_NAMED = "text headword named"  # share of documents that hold d1's headword
TEXT_LOSS = "text loss under"  # nats/token; the model's name follows
TEXT_REJECTED = "text rejected:"  # share of what was sampled; the filter's reason follows
TEXT_NOT_FACTUAL = "text non-factual"  # share of documents, by a judge
TEXT_IRRELEVANT = "text pair-irrelevance"
TEXT_UNJUDGED = "text without a judgement"

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
