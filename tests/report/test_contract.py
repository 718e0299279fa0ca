"""The JSON contract."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from jsonschema.validators import Draft202012Validator

from replay.model import DOMAINS, Subject
from replay.report import contract, json_text, schema
from replay.runs import Run


def test_contract_meets_its_schema(sample: Run) -> None:
    """A run's contract is valid under the schema, as a value and after a round trip through text."""
    Draft202012Validator.check_schema(schema())
    jsonschema.validate(json.loads(json_text(sample)), schema(), Draft202012Validator)


def test_contract_of_a_run_without_control_meets_its_schema(sample: Run) -> None:
    """A run without control, canaries or clusters is valid too."""
    bare = replace(sample, control=None, clusters=(), divergences=(), findings=(), pairs=(), answers=(), canaries=type(sample.canaries)())
    jsonschema.validate(json.loads(json_text(bare)), schema(), Draft202012Validator)


def _describe(value: Any, rules: dict[str, Any], place: str) -> None:
    """Follow a value and its schema side by side: every key must be described."""
    rules = next((part for part in rules.get("oneOf", ()) if "$ref" in part), rules)
    if "$ref" in rules:
        rules = schema()["$defs"][rules["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, dict) and "properties" in rules:
        assert set(value) == set(rules["properties"]), place
        for key, item in value.items():
            _describe(item, rules["properties"][key], f"{place}.{key}")
    if isinstance(value, list) and "items" in rules:
        for item in value:
            _describe(item, rules["items"], f"{place}[]")


def test_every_key_is_described(sample: Run) -> None:
    """The contract has no key that the schema does not describe, and the schema none that the contract lacks."""
    _describe(json.loads(json_text(sample)), schema(), "$")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: value.pop("totals"),
        lambda value: value.update(format=2),
        lambda value: value.update(verdict="green"),
        lambda value: value.update(cell="container"),
        lambda value: value["domains"].pop(),
        lambda value: value["domains"][0].update(planned=-1),
        lambda value: value["clusters"][0].update({"class": "cosmetic"}),
        lambda value: value["clusters"][0].update(verdict="ignored"),
        lambda value: value["clusters"][0].update(primary=3),
        lambda value: value["clusters"][0].update(subjects=[]),
        lambda value: value["clusters"][0]["subjects"][0].update(kind="thing"),
        lambda value: value["totals"]["gaps"].update(unsafe="2"),
        lambda value: value["canaries"].pop("blind"),
    ],
)
def test_schema_refuses_what_is_off(sample: Run, spoil: Callable[[dict[str, Any]], object]) -> None:
    """The schema is no rubber stamp: missing keys, other words, negative counts and wrong types are refused."""
    value = json.loads(json_text(sample))
    spoil(value)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, schema(), Draft202012Validator)


def test_sums_hold(sample: Run) -> None:
    """Planned is compared and gaps, in total and in each domain; compared is identical, the open classes and the explained."""
    value = contract(sample)
    totals = value["totals"]
    assert totals["planned"] == totals["compared"] + sum(totals["gaps"].values())
    assert totals["compared"] == totals["identical"] + totals["divergent"]
    assert [row["domain"] for row in value["domains"]] == list(DOMAINS)
    for key in ("planned", "compared", "identical", "gaps"):
        expected = totals[key] if key != "gaps" else sum(totals["gaps"].values())
        assert sum(row[key] for row in value["domains"]) == expected
    for row in value["domains"]:
        assert row["planned"] == row["compared"] + row["gaps"]
        assert row["compared"] == row["identical"] + row["structural"] + row["semantic"] + row["timing"] + sum(row["explained"].values())


def test_lone_surrogates_survive(sample: Run) -> None:
    """A value with a lone surrogate is written as an escape that every decoder takes."""
    odd = replace(sample, because="half \ud800 pair")
    assert json_text(odd).encode("ascii")
    assert json.loads(json_text(odd))["because"] == "half \ud800 pair"


def test_calls_are_subjects(sample: Run) -> None:
    """What a daemon asked its model of its own accord is a subject of the kind `call`."""
    called = replace(sample.clusters[0], subjects=(Subject("call", "call-3"),))
    jsonschema.validate(json.loads(json_text(replace(sample, clusters=(called,)))), schema(), Draft202012Validator)
