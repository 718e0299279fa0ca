"""Reports of runs and of the ledger, as text."""


from replay import report
from replay.model import UsageError
from replay.runs import Run


def render(run: Run, form: str, bodies: str) -> str:
    """
    Write a run in one of the formats `table`, `html`, `markdown`, `junit` and `json`.

    Raises:
        UsageError: there is no such format.

    """
    match form:
        case "table":
            return report.table(run)
        case "html":
            return report.html(run, bodies)
        case "markdown":
            return report.markdown(run)
        case "junit":
            return report.junit(run)
        case "json":
            return report.json_text(run)
        case _:
            raise UsageError(f"there is no format {form!r}; there are table, html, markdown, junit and json")
