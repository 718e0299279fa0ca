"""
What people and machines read of a run: pure functions from a `Run` to text. Nothing here decides.

    contract, schema, json_text   the JSON contract and its JSON Schema
    table, last_line              the terminal
    explain                       one cause or one exchange, whole
    markdown, junit               for reviews and for continuous integration
    html                          the page: one file, no network
"""

from replay.evidence import domains
from replay.report.contract import contract, json_text, schema
from replay.report.explain import explain
from replay.report.junit import junit
from replay.report.markdown import markdown
from replay.report.page import html
from replay.report.terminal import last_line, table
from replay.report.text import bound, share, visible

__all__ = [
    "bound",
    "contract",
    "domains",
    "explain",
    "html",
    "json_text",
    "junit",
    "last_line",
    "markdown",
    "schema",
    "share",
    "table",
    "visible",
]
