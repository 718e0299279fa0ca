"""What people are told of ids."""

from replay.jobs.renewing import identity_lines


def test_counts_are_told() -> None:
    """What happened is said, with its number; what did not, is not."""
    assert list(identity_lines({"bindings": 900, "rewritten": 99, "ids_from_rows": 1, "contradictions": 0, "retried": 3})) == [
        "ids: 900 bound · 99 requests rewritten · 1 found by their rows in the candidate's database"
    ]
    assert list(identity_lines({"bindings": 0, "ids_without_rows": "x"})) == []
