"""Which documents pass by themselves, before they are compared with others."""

from collections.abc import Iterable, Iterator

from sbp_bayes.documents.clean_config import CleanSettings
from sbp_bayes.documents.dropped import Dropped
from sbp_bayes.documents.languages import language_of
from sbp_bayes.documents.parts import cut
from sbp_bayes.documents.text_files import TextDocument
from sbp_bayes.documents.text_lines import Unreadable
from sbp_bayes.errors import UserError

UNREADABLE = "unreadable"
EMPTY, SHORT, LONG, LANGUAGE, WITHOUT = "empty", "too short", "too long", "another language", "without a concept"
BY_ITSELF = (EMPTY, SHORT, LONG, LANGUAGE, WITHOUT)


def passing(
    documents: Iterable[tuple[str, TextDocument] | Unreadable],
    clean: CleanSettings,
    by_concept: bool,
    dropped: Dropped,
) -> Iterator[tuple[str, TextDocument]]:
    """The documents that ``clean`` lets pass, long ones in parts; the others are noted in ``dropped``.

    documents: (parent, document), where the parent is the id of the document that a part is of. UserError: what can't
    be read, or is too long, unless ``clean`` says otherwise.
    """
    for found in documents:
        if isinstance(found, Unreadable):
            if clean.on_bad == "stop":
                raise UserError(found.message)
            dropped.add(None, UNREADABLE, found.message)
            continue
        parent, whole = found
        for document in _cut_to_length(whole, clean):
            reason, detail = _reason(document, clean, by_concept)
            if reason:
                dropped.add(document.doc_id, reason, detail)
            else:
                yield parent, document


def same_text(text: str) -> str:
    """What two documents have in common when they are copies but for white space."""
    return " ".join(text.split())


def _cut_to_length(document: TextDocument, clean: CleanSettings) -> list[TextDocument]:
    """The document, or where it is too long what `corpus.clean.long_documents` makes of it."""
    limit = clean.max_characters
    if not limit or len(document.text) <= limit or clean.long_documents == "drop":
        return [document]
    if clean.long_documents == "refuse":
        raise UserError(
            f"{document.doc_id}: {len(document.text):,} characters, corpus.clean.max_characters allows {limit:,} "
            '(corpus.clean.long_documents = "split" or "drop" goes on)'
        )
    parts = cut(document.text, limit)
    return [
        TextDocument(f"{document.doc_id}~{i}", part, document.source, document.concept) for i, part in enumerate(parts)
    ]


def _reason(document: TextDocument, clean: CleanSettings, by_concept: bool) -> tuple[str, str]:
    """Why a document is left out, by itself, with a detail; two empty strings where it is not."""
    text, length = document.text, f"{len(document.text):,} characters"
    if not text:
        return EMPTY, ""
    if len(text) < clean.min_characters:
        return SHORT, length
    if clean.max_characters and len(text) > clean.max_characters:
        return LONG, length
    language = language_of(text) if clean.languages else None
    if language is not None and language not in clean.languages:
        return LANGUAGE, language
    if by_concept and document.concept is None:
        return WITHOUT, ""
    return "", ""
