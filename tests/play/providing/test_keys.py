"""What two asks must have in common to get one answer, and what keeps them apart."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.play.providing.asks import Kind, Shape, read_ask
from replay.play.providing.keys import understand
from replay.play.providing.plain import Present, plain, put_in, renamings, tidy
from replay.play.providing.stages import PAYLOAD_BYTES_MAX, decision_of, payload_of, stage_of

ID = "4a1accbf-4023-4638-bf25-d3235c065c5c"
OTHER_ID = "2882c46b-e0ee-40af-bd76-47a3981019f3"


def keys(prompt: str, present: Present, *, model: str = "small", target: str = "/api/generate") -> dict[str, list[bytes]]:
    """Give the keys of a prompt, by what they go by."""
    name = "prompt" if "generate" in target or target.endswith("embeddings") else "input"
    asked = understand(read_ask(b"POST", target.encode(), json.dumps({"model": model, name: prompt}).encode()), present)
    found: dict[str, list[bytes]] = {}
    for by, digest in asked.keys:
        found.setdefault(by, []).append(digest)
    return found


def meet(one: str, other: str, present: Present, **more: str) -> set[str]:
    """Name the kinds of keys by which two prompts are the same."""
    theirs, mine = keys(one, present, **more), keys(other, present, **more)
    return {by for by in theirs if set(theirs[by]) & set(mine.get(by, []))}


@given(st.text())
def test_tidying_twice_changes_nothing(text: str) -> None:
    """A text that was spelt one way stays as it is."""
    assert tidy(tidy(text)) == tidy(text)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_masking_twice_changes_nothing(text: str) -> None:
    """What was masked holds nothing more to mask."""
    present = Present(((0.0, 4e9),))
    once = plain(text, present).text
    assert plain(once, present).text == once


@given(st.binary(), st.sampled_from([b"GET", b"POST", b"PUT"]), st.sampled_from([b"/api/generate", b"/v1/messages", b"/api/embed", b"/x?y"]))
def test_any_bytes_are_understood(body: bytes, method: bytes, target: bytes) -> None:
    """Whatever is asked has a stage and a key."""
    asked = understand(read_ask(method, target, body), Present())
    assert asked.stage
    assert asked.keys


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_json_is_understood(value: Any) -> None:
    """A request whose members are of no expected kind is still one."""
    for name in ("prompt", "messages", "input", "system"):
        body = json.dumps({"model": value, name: value}).encode()
        for target in (b"/api/generate", b"/v1/chat/completions", b"/v1/messages", b"/v1/embeddings"):
            assert understand(read_ask(b"POST", target, body), Present()).keys


def test_white_space_is_no_difference(present: Present) -> None:
    """Line ends and runs of spaces do not keep two texts apart; the sign-by-sign key does."""
    assert meet("a fact\r\nof two  lines", "a fact\nof two lines", present) == {"plain"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kept for 90 days", "kept for 30 days"),
        ("version 1.10", "version 1.1"),
        ("Priya decided", "priya decided"),
        ("is it so?", "is it so!"),
        ("it is not so", "it is so"),
        ("a b", "ab"),
        ("merged on 2026-02-01", "merged on 2026-02-02"),
        ("digest 9f86d081884c7d659a2feaa0c55ad015", "digest 9f86d081884c7d659a2feaa0c55ad016"),
        ("port 3850", "port 3849"),
    ],
)
def test_one_sign_keeps_two_texts_apart(one: str, other: str, present: Present) -> None:
    """No key merges texts that differ in a digit, a case, a sign, a date long past or the digest of something."""
    assert meet(one, other, present) == set()
    assert meet(f"Extract key facts and more.\n\nText:\n{one}", f"Extract key facts and more.\n\nText:\n{other}", present) == set()


def test_made_ids_are_no_difference_but_their_pattern_is(present: Present) -> None:
    """Other ids in the same places are the same; one id twice is not two ids."""
    assert meet(f"{ID} and {OTHER_ID}", f"{OTHER_ID} and {ID}", present) == {"plain"}
    assert meet(f"{ID} and {ID}", f"{ID} and {OTHER_ID}", present) == set()


def test_the_present_day_is_no_difference(present: Present) -> None:
    """The day of the recording is the day of the replay; any other day is what somebody wrote."""
    assert "plain" in meet("# 2025-11-23 Session Notes", "# 2026-11-18 Session Notes", present)
    assert meet("# 2025-11-23 Session Notes", "# 2025-03-01 Session Notes", present) == set()
    assert meet("# 2025-03-01 Session Notes", "# 2025-03-02 Session Notes", present) == set()


def test_stages_do_not_share_answers(present: Present) -> None:
    """The same payload in two stages is two questions."""
    assert meet("Extract key facts and x.\nText:\na fact", "Extract only decisions, constraints.\nText:\na fact", present) == set()


def test_models_of_embedders_do_not_share_vectors(present: Present) -> None:
    """A vector of one model is nothing to another, whatever the text."""
    one = keys("a text", present, model="a", target="/api/embeddings")
    other = keys("a text", present, model="b", target="/api/embeddings")
    assert not {each for found in one.values() for each in found} & {each for found in other.values() for each in found}


def test_two_wordings_of_a_question_have_one_payload_key(present: Present) -> None:
    """An extraction is about its text, however the daemon words it; the closing words are none of it."""
    one = "Extract key facts and concrete relationships.\n\nReturn ONLY JSON.\n\nText:\nHelios uses   PostgreSQL."
    other = (
        "Extract key facts and entity relationships.\n\nContent:\nHelios uses PostgreSQL.\n\n"
        "Respond with only the JSON object, no markdown fences or explanation."
    )
    assert meet(one, other, present) == {"payload"}
    assert meet(one, other.replace("PostgreSQL", "PostgreSQL 9"), present) == set()


def test_json_in_a_prompt_is_spelt_one_way(present: Present) -> None:
    """The order of members and 0 for 0.0 make no difference in what is to be consolidated; a value, a text or an order of rows does."""
    wording = "You are performing Signet ontology consolidation.\n\nPending proposals:\n{}\n\nGroups:\n[]"
    one = wording.format('[\n  {"id": "a", "confidence": 0, "x": [1.5]},\n  {"id": "b"}\n]')
    assert meet(one, wording.format('[{"confidence": 0.0, "id": "a", "x": [1.5]}, {"id": "b"}]'), present) == {"payload"}
    for other in ('[{"id": "a", "confidence": 1, "x": [1.5]}, {"id": "b"}]', '[{"id": "b"}, {"id": "a", "confidence": 0, "x": [1.5]}]', "[{"):
        assert meet(one, wording.format(other), present) == set()


def test_a_payload_that_looks_like_wording_stays_whole() -> None:
    """A text that itself holds the line before the text is not cut there."""
    assert payload_of("extraction", "Extract key facts and x\nText:\nfirst\nText:\nsecond") == "first Text: second"


def test_long_payloads_meet_where_both_daemons_cut(present: Present) -> None:
    """Texts that are cut at different places are the same up to the shorter cut; within it one sign keeps them apart."""
    text = "word " * 2_400
    one = f"Extract key facts and x\nText:\n{text[:12_000]}\n[truncated]"
    other = f"Extract key facts and y\nContent:\n{text[:11_800]}"
    assert "payload" in meet(one, other, present)
    changed = text[: PAYLOAD_BYTES_MAX - 10] + "X" + text[PAYLOAD_BYTES_MAX - 9 :]
    assert meet(one, f"Extract key facts and y\nContent:\n{changed}", present) == set()


def test_a_decision_is_about_its_fact_and_the_set_of_its_candidates(deciding: Any, present: Present) -> None:
    """Order and ids of candidates, and how a confidence is spelt, make no difference."""
    one = deciding("The cache is cleared at 6.", [(ID, "It is cleared."), (OTHER_ID, "There is a cache.")], "0.9")
    other = deciding("The cache is cleared at 6.", [(ID, "There is a cache."), (OTHER_ID, "It is cleared.")], "0.90")
    assert meet(one, other, present) == {"payload", "task"}


@pytest.mark.parametrize("changed", ["The cache is cleared at 7.", "The cache is not cleared at 6."])
def test_another_fact_is_another_decision(changed: str, deciding: Any, present: Present) -> None:
    """Two facts that differ in one digit or one word are never one."""
    candidates = [(ID, "It is cleared.")]
    assert meet(deciding("The cache is cleared at 6.", candidates), deciding(changed, candidates), present) == set()


def test_another_candidate_is_seen(deciding: Any, present: Present) -> None:
    """With other candidates only the fact is the same, and one that is there twice is not one that is there once."""
    one = deciding("A fact.", [(ID, "It is so.")])
    assert meet(one, deciding("A fact.", [(ID, "It is not so.")]), present) == {"task"}
    assert meet(one, deciding("A fact.", [(ID, "It is so."), (OTHER_ID, "It is so.")]), present) == {"task"}


def test_a_decision_is_taken_apart(deciding: Any) -> None:
    """Contents of several lines belong to their candidate."""
    found = decision_of(deciding('A "fact".', [(ID, "## Head\n\nText of two\nlines."), (OTHER_ID, "Another.")]))
    assert found is not None
    assert found.content == 'A "fact".'
    assert [(each.id, each.content) for each in found.candidates] == [(ID, "## Head\n\nText of two\nlines."), (OTHER_ID, "Another.")]
    assert decision_of("You are a memory management system, and this is no list.") is None


@pytest.mark.parametrize(
    ("prompt", "stage"),
    [
        ("You are reviewing chunk 2 of 3 from one cleaned transcript", "summary chunk"),
        ("You are reviewing a cleaned transcript from one", "summary single"),
        ("You are combining 3 segment summaries", "summary combine"),
        ("<identity>\nx\n</identity>\n<task>\nYou are taking time to reflect on your sessions", "dream"),
        ("Given this fact stored in a personal memory system:", "hints"),
        ("You are a poet.", "other"),
        ("", "other"),
    ],
)
def test_stages_are_known_by_how_they_begin(prompt: str, stage: str) -> None:
    """A prompt's first words name its stage; what is not known is `other`."""
    assert stage_of(prompt) == stage


def test_a_chat_of_one_message_is_its_text() -> None:
    """A prompt is the same text on all wires; further messages and a system's words are part of it."""
    prompts = [
        read_ask(b"POST", b"/api/generate", b'{"model":"m","prompt":"Hello"}'),
        read_ask(b"POST", b"/api/chat", b'{"model":"m","messages":[{"role":"user","content":"Hello"}]}'),
        read_ask(b"POST", b"/v1/chat/completions", b'{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]}]}'),
        read_ask(b"POST", b"/v1/messages", b'{"model":"m","messages":[{"role":"user","content":"Hello"}]}'),
    ]
    assert {ask.text for ask in prompts} == {"Hello"}
    assert [ask.shape.wire for ask in prompts] == ["ollama", "ollama", "openai", "anthropic"]
    more = read_ask(b"POST", b"/v1/messages", b'{"model":"m","system":"Brief.","messages":[{"role":"user","content":"Hello"}]}')
    assert more.text == "system: Brief.\nuser: Hello"


def test_ollama_streams_unless_told_not_to() -> None:
    """What says nothing about streaming is taken as its wire takes it."""
    assert read_ask(b"POST", b"/api/generate", b'{"model":"m","prompt":"x"}').stream
    assert not read_ask(b"POST", b"/v1/chat/completions", b'{"model":"m","messages":[]}').stream


def test_what_is_no_known_request_is_other() -> None:
    """An unknown path, broken JSON or members of another kind are keyed as they are."""
    for target, body in (
        (b"/nowhere", b"{}"),
        (b"/api/generate", b"{"),
        (b"/api/generate", b'{"prompt": 3}'),
        (b"/api/embed", b'{"input": [1]}'),
    ):
        assert read_ask(b"POST", target, body).kind is Kind.OTHER
    assert read_ask(b"POST", b"/api/generate?x=1", b'{"prompt":"x"}').shape is Shape.GENERATE


def test_names_are_put_in_whole_words_only() -> None:
    """An id inside a longer word is another id, and two ids may trade places."""
    one, other = plain(f"{ID} then {OTHER_ID}", Present()), plain(f"{OTHER_ID} then {ID}", Present())
    assert renamings(one, other) == {ID: OTHER_ID, OTHER_ID: ID}
    assert put_in(f"x{ID} {ID}, {OTHER_ID}", renamings(one, other)) == f"x{ID} {OTHER_ID}, {ID}"
