"""Which language a text is in, told by its function words alone: no model, no data, the same answer everywhere.

A text of at least 20 words is in the language whose function words make up the largest share of its words, if that is
at least a tenth. Shorter texts, lists and tables can't be told.
"""

import re

from sbp_bayes.documents.clean_config import LANGUAGES

WORD = re.compile(r"[^\W\d_]+")
FEWEST_WORDS = 20
LEAST_SHARE = 0.1
MOST_WORDS = 1000
UNKNOWN = "unknown"

FUNCTION_WORDS = {
    "da": "og i at det er en til af på der for med den som de ikke et har var om men han fra kan sig ved blev",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an er hat aus bei",
    "en": "the of and to in a is that for it as was with be by on not he his but are this from or have an at they",
    "es": "de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha",
    "fr": "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont avec",
    "it": "di e il la che in a per un è del non una con sono le si da i al della come più nel gli anche alla",
    "nl": "de van het een en in is dat op te zijn met voor niet aan er die door om ook als maar bij uit hij was",
    "pt": "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao ele das à",
    "sv": "och i att det som en på är av för med den till inte om ett har de var men jag från vid så kan hade",
}
assert tuple(FUNCTION_WORDS) == LANGUAGES
SETS = {language: frozenset(words.split()) for language, words in FUNCTION_WORDS.items()}


def language_of(text: str) -> str | None:
    """A code of `LANGUAGES`, ``unknown`` for a text of none of them, None for one too short to tell.

    Reads the first 1,000 words. Letters of scripts without spaces between words count as words of their own runs.
    """
    words = []
    for found in WORD.finditer(text):
        words.append(found[0].lower())
        if len(words) == MOST_WORDS:
            break
    if len(words) < FEWEST_WORDS:
        return None
    share, language = max((sum(word in known for word in words) / len(words), name) for name, known in SETS.items())
    return language if share >= LEAST_SHARE else UNKNOWN
