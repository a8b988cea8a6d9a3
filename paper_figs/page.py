"""The pieces of a self-contained HTML page: one style sheet, tables, inline figures.

Everything given as text is escaped.
"""

import re
from collections.abc import Sequence
from html import escape

from paper_figs import style

CSS = """
:root { color-scheme: light dark; --ink: #1d1d1f; --muted: #63636b; --line: #d4d4d8; --page: #ffffff; --card: #f6f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececf0; --muted: #a1a1aa; --line: #3f3f46; --page: #17171a; --card: #212126; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.2rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0.4rem 0; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 0.6rem; border-top: 1px solid var(--line); padding-top: 1rem; }
p, figcaption { max-width: 46rem; }
.muted { color: var(--muted); }
.warning { border-left: 4px solid #D55E00; padding: 0.3rem 0.8rem; background: var(--card); }
figure { margin: 1.6rem 0; }
.wide { overflow-x: auto; }
figure svg { display: block; width: 100%; max-width: 46rem; height: auto; color: var(--ink); }
figcaption { margin-top: 0.4rem; }
table { border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums; margin: 0.5rem 0; }
th, td { text-align: left; padding: 0.25rem 0.9rem 0.25rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: normal; }
td.number, th.number { text-align: right; white-space: nowrap; }
.examples { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 0.6rem; margin: 0.8rem 0; }
.examples div { background: var(--card); padding: 0.6rem 0.8rem; border-radius: 6px; font-size: 0.9rem; }
.examples b { display: block; font-size: 0.8rem; color: var(--muted); }
pre { background: var(--card); padding: 0.8rem; border-radius: 6px; overflow-x: auto; font-size: 0.82rem; }
details > summary { cursor: pointer; }
"""


def page(title: str, body: Sequence[str]) -> str:
    """A whole HTML document that needs nothing from anywhere."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A table whose first ``words`` columns are words and the others numbers."""

    def cells(values: Sequence[str], tag: str) -> str:
        kinds = ["" if i < words else ' class="number"' for i in range(len(values))]
        return "".join(f"<{tag}{kind}>{escape(str(v))}</{tag}>" for kind, v in zip(kinds, values, strict=True))

    head = f"<thead><tr>{cells(header, 'th')}</tr></thead>"
    body = "".join(f"<tr>{cells(row, 'td')}</tr>\n" for row in rows)
    return f'<div class="wide"><table>{head}\n<tbody>{body}</tbody></table></div>'


def folded(summary: str, content: str) -> str:
    """HTML that shows when its summary is clicked."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def inline_figure(svg: str, caption: str) -> str:
    """A figure drawn into the page: its ink and grid follow the page's light or dark colours.

    The caption's first sentence, the finding, stands out.
    """
    drawing = svg[svg.index("<svg") :]
    drawing = re.sub(style.INK, "currentColor", drawing, flags=re.IGNORECASE)
    drawing = re.sub(style.GRID, "var(--line)", drawing, flags=re.IGNORECASE)
    drawing = re.sub(style.MUTED, "var(--muted)", drawing, flags=re.IGNORECASE)
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = drawing.replace("<svg", f'<svg role="img" aria-label="{escape(caption, quote=True)}"', 1)
    finding, _, rest = caption.partition(". ")
    words = f"<b>{escape(finding)}.</b> {escape(rest)}" if rest else f"<b>{escape(finding)}</b>"
    return f'<figure><div class="wide">{drawing}</div><figcaption>{words}</figcaption></figure>'


def examples(columns: Sequence[tuple[str, str]]) -> str:
    """Documents side by side, each under its name."""
    boxes = "".join(f"<div><b>{escape(name)}</b>{escape(text)}</div>" for name, text in columns)
    return f'<div class="examples">{boxes}</div>'
