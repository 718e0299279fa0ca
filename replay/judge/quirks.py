"""Known causes in words: what a bare name such as `q-time-format` means, for whoever reads a report."""

from types import MappingProxyType
from typing import Final

QUIRKS: Final = MappingProxyType(
    {
        "q-actor": "another name for who did it",
        "q-body-limit": "another limit on the size of a body",
        "q-boolean-as-number": "0 or 1 on one side, true or false on the other",
        "q-boolean-as-text": "the text true or false on one side, a boolean on the other",
        "q-charset": "another charset than the primary names, or none",
        "q-chunked": "a body sent in chunks on one side, with its length on the other",
        "q-content-type": "another content type than the primary gives",
        "q-empty-added": "an empty text, list or object where the primary leaves the key out",
        "q-empty-left-out": "the key left out where the primary writes an empty text, list or object",
        "q-error-envelope": "errors wrapped in another way",
        "q-hangs": "no answer in time where the primary answers",
        "q-empty-for-null": "an empty text, list or object where the primary writes null",
        "q-html-fallback": "a web page where the primary answers with something else",
        "q-html-markup": "other HTML for the same text",
        "q-id-format": "another kind of id than the primary gives",
        "q-json-as-text": "text on one side, an object or a list on the other",
        "q-key-case": "a key that the other side spells in another case (camelCase, snake_case)",
        "q-letter-case": "the same text in other letter case",
        "q-list-as-text": "a list written in another way in a text (JSON beside commas), or as text with commas beside a list",
        "q-method-not-allowed": "405 for a method that a path does not have, where the primary says 404",
        "q-null": "null on one side where the other has a value",
        "q-null-as-text": "null on one side, the word null or undefined as text on the other",
        "q-null-added": "null where the primary leaves the key out",
        "q-null-for-empty": "null where the primary writes an empty text, list or object",
        "q-null-left-out": "the key left out where the primary writes null",
        "q-number-as-text": "text on one side, a number on the other",
        "q-number-format": "the same number written in another way",
        "q-secret-in-clear": "a secret stored in clear, which the primary does not do",
        "q-time-as-number": "a time as text on one side, as a number of seconds or milliseconds on the other",
        "q-time-format": "another time format than the primary writes",
        "q-typed-body": "bodies and queries that are not of the expected type refused in plain text (400, 413, 415, 422)",
        "q-unset": "null where the primary has a value",
        "q-white-space": "the same text with other white space",
        "q-wrapped": "a value by itself on one side, a list of just that value on the other",
        "q-word-case": "the same word in another case (camelCase, snake_case)",
    }
)
"""The bare name stays the cause's identity everywhere that a machine reads; the words are for display alone."""

_USUAL: Final = MappingProxyType(
    {
        "q-actor": "the handler writes a fixed name, or another part of who asks; take it from the request as the primary does",
        "q-body-limit": "axum takes 2 MB unless told otherwise; set `DefaultBodyLimit` to the primary's",
        "q-boolean-as-number": "SQLite keeps booleans as 0 and 1, and the primary passes the row on; a typed row makes them booleans. "
        "Serialise the field as the number (`serialize_with`), or agree on booleans on both sides",
        "q-boolean-as-text": "a boolean is kept as text on one side; serialise it as a boolean",
        "q-charset": "another library sets the header; name the charset as the primary does",
        "q-chunked": "a body whose length is not known when the answer begins; harmless but for clients that read the length",
        "q-content-type": "static files are served by another library, which names no charset; set the header as the primary does",
        "q-empty-added": "`#[serde(default)]` on a field that the primary leaves out when empty; skip it when it is empty",
        "q-empty-for-null": "`unwrap_or_default()` or a column's default where the primary keeps NULL; use an `Option` and store NULL",
        "q-empty-left-out": '`skip_serializing_if = "Vec::is_empty"` (or the like) where the primary writes it; take the attribute away',
        "q-error-envelope": "the error type serialises itself; answer with the primary's error envelope",
        "q-hangs": "a handler waits for something that never comes, or a lock is held; bound the wait",
        "q-html-fallback": "no route matches and the fallback serves the dashboard; answer 404 below `/api` before the static fallback",
        "q-html-markup": "another Markdown library, or text escaped where the primary lets HTML through; render with the same options",
        "q-id-format": "another library makes the ids; make them in the primary's format if clients look at it",
        "q-key-case": '`rename_all = "camelCase"` is missing or too many on the struct',
        "q-list-as-text": "a list is stored as JSON text where the primary joins it with commas; write and read the column as the primary does",
        "q-method-not-allowed": "the router knows the path with other methods and says so; add a `method_not_allowed_fallback` that answers 404",
        "q-null-added": 'an `Option` serialised as null; `skip_serializing_if = "Option::is_none"` leaves it out',
        "q-null-as-text": "a missing value was put into a text; keep it null",
        "q-null-for-empty": "an `Option` that stays `None` where the primary starts with an empty value; start with the empty value",
        "q-null-left-out": '`skip_serializing_if = "Option::is_none"` where the primary writes null; take the attribute away',
        "q-number-as-text": "a number is kept as text on one side; serialise it as a number",
        "q-number-format": "an `f64` is written with its fraction (8.0) where JavaScript writes 8; use an integer, or write whole floats so",
        "q-secret-in-clear": "a secret is stored without encryption; use the primary's store",
        "q-time-as-number": "one side passes on the number that the database keeps; format it as the primary does",
        "q-time-format": "`to_rfc3339()` writes nanoseconds and +00:00; "
        "`to_rfc3339_opts(SecondsFormat::Millis, true)` writes what JavaScript does",
        "q-typed-body": "`Json<T>` and `Query<T>` refuse before the handler runs; take the body as bytes or `Value`, check it in the handler, "
        "and answer the primary's JSON error",
        "q-unset": "the column is not written or not read by the candidate's statement, or the work that fills it is not done; "
        "carry the column along, or look at the worker",
        "q-white-space": "one side trims or joins lines; keep the text as it came",
        "q-word-case": "an enum or a name written by hand in another case; rename it to the primary's word",
        "q-wrapped": "a field takes one value or a list of them, and is written back as a list; write it as it came",
        "answer": "the handler builds another object; build the primary's",
        "asked": "a worker that is missing or decides otherwise, or another prompt; compare the worker that asks",
        "default": "a default that the two sources do not share; take the primary's",
        "deed": "the handler was written anew and decides otherwise; compare both handlers for this request",
        "envelope": "the answer around the thing itself is built by hand in each handler; build the primary's",
        "error-words": "each side words its errors itself; take the primary's words and envelope where clients show or match them",
        "header": "another server or middleware sets them; set the primary's, or sign the difference with a rule",
        "late": "look at the slowest exchange: an index that is missing, a lock, or work done before the answer",
        "lenient": "the handler, or the HTTP library, takes what the primary checks; check it and answer with the primary's status",
        "lenient-state": "a check of scope, of what is there, or of a shadowed route is missing; check as the primary does",
        "message-words": "each side words its messages itself; take the primary's words where clients show or match them",
        "metrics": "each daemon counts its own work; what it did otherwise shows here",
        "not-there": "the route has no such method; add it",
        "order": "another ORDER BY, or a map that sorts its keys; order as the primary does",
        "refusal": "a precondition that the primary does not have, or a part that is not wired up yet; see the words of the refusal",
        "rpc-transport": "the transport is written by hand: methods, batches and notifications; answer each as the primary does",
        "rpc-versions": "name and versions are written by hand; take the primary's, and agree on the version that the client asks for",
        "search": "another index, other terms, or scores made otherwise; begin with a search that finds nothing where the primary does",
        "settings": "another default, or a setting that the configuration file names and the candidate does not read",
        "shape": "a struct without these fields, or with more of them; serialise what the primary does",
        "state": "an earlier write or a background worker decided otherwise, or a statement selects other rows; begin with the earliest place",
        "status-code": "the handler returns its framework's usual status; return the primary's",
        "stream-end": "the handler sends its first event and returns; keep the stream open and forward what is published",
        "tool-fails": "the tool is not registered, or checks its arguments otherwise; register it with the primary's schema",
        "tools": "the list of tools is written by hand; make it from the primary's schemas",
    }
)


def quirk_words(cause: str) -> str:
    """Say what a known cause means; empty for any other."""
    return QUIRKS.get(cause, "")


def usual_of(cause: str) -> str:
    """Say what usually brings forth a quirk, or a kind of cause, and the usual mending; empty where that is not known."""
    return _USUAL.get(cause, "")
