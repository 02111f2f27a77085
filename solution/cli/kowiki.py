"""The actions of `kowiki` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

app = typer.Typer(
    help="Turn a Korean Wikipedia dump into passages, a search index and questions.",
    rich_markup_mode=None,
)
BUILT = Path("runs/kowiki/passages")
Passages = Annotated[Path, Option(help="folder of a build")]


@app.command(epilog="Example: ./run.sh kowiki build kowiki-latest-pages-articles.xml.bz2")
def build(
    source: Annotated[
        str, Argument(help="dump, JSON lines, parquet, folder or hub id")
    ] = "data/embedded/wiki.xml.bz2",
    out: Annotated[Path, Option(help="folder to write")] = BUILT,
    max_chars: Annotated[int, Option(help="characters of a passage")] = 300,
    min_page_chars: Annotated[int, Option(help="shorter pages are left out")] = 100,
    workers: Annotated[int | None, Option(help="processes (default: one per core)")] = None,
) -> None:
    """Cut a dump into passages and index them."""
    from solution.core import resolve_path
    from solution.kowiki import build as run
    from solution.kowiki import open_index, read_manifest

    local = resolve_path(source)
    folder = run(
        str(local) if local.exists() else source,
        out,
        max_chars=max_chars,
        min_page_chars=min_page_chars,
        workers=workers,
    )
    open_index(folder)
    manifest = read_manifest(folder)
    articles = manifest["pages"].get("kept", 0)
    print(f"{folder}: {manifest['passages']} passages of {articles} articles")


@app.command(epilog='Example: ./run.sh kowiki search "대동법을 처음 시행한 임금"')
def search(
    query: Annotated[str | None, Argument(help="what to search for")] = None,
    passages: Passages = BUILT,
    objectives: Annotated[Path | None, Option(help="folder or file of objectives")] = None,
    top_k: Annotated[int, Option("--top-k", help="passages per query")] = 5,
    json: Annotated[bool, Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Find passages, or the articles of curriculum objectives."""
    from solution.core import UserError
    from solution.kowiki import articles_text, select_articles
    from solution.kowiki import search as find

    if (query is None) == (objectives is None):
        raise UserError("Give either a query or --objectives FILE.")
    if objectives:
        print(articles_text(select_articles(objectives, passages, top_k), json))
    else:
        print(find(query or "", passages, top_k, json))


@app.command(epilog="Example: ./run.sh kowiki questions --test data/test.csv")
def questions(
    test: Annotated[str, Option(help="the test file: its questions are kept out")],
    passages: Passages = BUILT,
    exam: Annotated[list[Path] | None, Option(help="another exam to keep out")] = None,
    out: Annotated[Path, Option(help="folder to write")] = Path("runs/kowiki/questions"),
    limit: Annotated[int | None, Option(help="keep this many, drawn evenly")] = None,
    teacher: Annotated[
        str | None, Option(help="a model writes them: name or FILE.yaml")
    ] = None,
    judge: Annotated[str | None, Option(help="drop what this model cannot answer")] = None,
    judge_prompt: Annotated[str, Option(help="prompt name or FILE.yaml")] = "contest",
    seed: Annotated[int, Option(help="seed of the draw")] = 0,
) -> None:
    """Make questions from passages, excluding any that overlap an exam."""
    from json import dumps

    from solution.core import resolve_path
    from solution.exam import load_prompt
    from solution.kowiki import Judge
    from solution.kowiki import questions as make
    from solution.models import ModelReference

    model = Judge(ModelReference(model=judge), load_prompt(judge_prompt)) if judge else None
    report = make(
        passages,
        resolve_path(test),
        exam or [],
        out,
        limit=limit,
        seed=seed,
        teacher=teacher,
        judge=model,
    )
    print(dumps(report, ensure_ascii=False, indent=2))
