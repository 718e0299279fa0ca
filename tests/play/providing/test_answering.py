"""What is answered out of a recording: in which order, with which ids, in which form; and what is not."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from replay.model import EndReason
from replay.play.providing.answering import Answering
from replay.play.providing.asks import read_ask
from replay.play.providing.nearest import differences
from replay.play.providing.store import Store, pack, unpack

ID = "4a1accbf-4023-4638-bf25-d3235c065c5c"
OTHER_ID = "2882c46b-e0ee-40af-bd76-47a3981019f3"
NEW_ID = "0c91a9ec-3d0c-400e-a9e7-3e173d990a3e"
THIRD_ID = "c287d471-e28d-4066-9ec6-2c4702eeb4d3"


def test_answers_come_in_recorded_order_and_the_last_one_stays(lane: Any, said: Any) -> None:
    """Equal questions get their answers one after the other; then the last one again, which is told."""
    for text in ("one", "two", "three"):
        lane.said("Say a number.", text)
    given_ = [lane.ask("Say a number.") for _ in range(5)]
    assert [said(each) for each in given_] == ["one", "two", "three", "three", "three"]
    assert [each.tier for each in given_] == ["exact", "exact", "exact", "repeated", "repeated"]


def test_an_answer_given_by_one_key_is_not_given_by_another(lane: Any, said: Any) -> None:
    """What was given for the same text is not given again for one that differs in white space, while there are others."""
    lane.said("Say  a number.", "one")
    lane.said("Say a  number.", "two")
    assert said(lane.ask("Say a  number.")) == "two"
    found = lane.ask("Say a number.")
    assert (said(found), found.tier) == ("one", "normalised")


def test_a_recorded_answer_is_given_as_it_was(lane: Any) -> None:
    """Status, headers and every byte of the body are the recorded ones; the lane's own framing is made anew."""
    body = b'{ "response":"\\u00e9" ,"done":true}'
    lane.add("/api/generate", {"model": "small", "prompt": "x", "stream": False}, body)
    found = lane.ask("x")
    assert (found.status, found.reason, found.pieces, found.made) == (200, b"As Recorded", (body,), False)
    assert found.headers == ((b"Server", b"recorded"), (b"content-type", b"application/json; charset=utf-8"))


def test_errors_are_given_as_recorded(lane: Any) -> None:
    """A provider that failed fails again in the same way."""
    lane.add("/api/generate", {"model": "small", "prompt": "x"}, {"error": "overloaded"}, status=529)
    lane.add("/api/generate", {"model": "small", "prompt": "y"}, None)
    assert lane.answer("/api/generate", {"model": "small", "prompt": "x"}).status == 529
    gone = lane.answer("/api/generate", {"model": "small", "prompt": "y"})
    assert (gone.status, gone.whole, gone.broken) == (0, False, True)


def test_a_recorded_answer_without_a_text_is_a_miss_in_another_form(lane: Any) -> None:
    """What holds null where a text belongs is given as it was to who asks as then, and can't be given otherwise."""
    for body in ({"response": None, "done": True}, {"response": ["x"], "done": True}):
        lane.add("/api/generate", {"model": "small", "prompt": f"Look at {ID}.", "stream": False}, body)
    assert lane.ask(f"Look at {ID}.").status == 200
    streamed = [lane.answer("/api/generate", {"model": "small", "prompt": f"Look at {name}.", "stream": True}) for name in (ID, NEW_ID)]
    assert [(each.tier, each.status) for each in streamed] == [("miss", 503)] * 2


def test_other_parameters_are_no_other_question(lane: Any, said: Any) -> None:
    """A daemon that allows more tokens asks the same; with the recorded parameters it gets what was recorded with them."""
    lane.said("x", "short", options={"num_predict": 10})
    lane.said("x", "long", options={"num_predict": 99})
    assert said(lane.ask("x", options={"num_predict": 99})) == "long"
    found = lane.ask("x", options={"num_predict": 50})
    assert (said(found), found.tier) == ("short", "exact")


def test_a_decision_names_the_candidate_of_this_replay(lane: Any, deciding: Any, said: Any) -> None:
    """The recorded target's id is replaced by that of the candidate with the same content, wherever it now stands."""
    answer = json.dumps({"action": "update", "targetId": OTHER_ID, "reason": f"refines {OTHER_ID}"})
    lane.said(deciding("A fact.", [(ID, "First."), (OTHER_ID, "Second.")]), answer)
    found = lane.ask(deciding("A fact.", [(NEW_ID, "Second."), (THIRD_ID, "First.")], "0.90"))
    assert (found.tier, found.match["by"]) == ("rewritten", "payload")
    assert json.loads(said(found)) == {"action": "update", "targetId": NEW_ID, "reason": f"refines {NEW_ID}"}


def test_bound_ids_come_before_equal_contents(lane: Any, deciding: Any, said: Any) -> None:
    """Of two candidates with one content the target is the one whose id the replay knows to be the recorded one's."""
    lane.said(deciding("A fact.", [(ID, "Same."), (OTHER_ID, "Same.")]), json.dumps({"action": "none", "targetId": OTHER_ID}))
    lane.bindings.bind("uuid", OTHER_ID, NEW_ID, 1, "$.id")
    found = lane.ask(deciding("A fact.", [(NEW_ID, "Same."), (THIRD_ID, "Same.")], "0.90"))
    assert json.loads(said(found))["targetId"] == NEW_ID


def test_a_decision_among_other_candidates_is_told_or_missed(lane: Any, deciding: Any, said: Any) -> None:
    """With other candidates the recorded decision stands where its target is among them, and says so; else it is a miss, never a guess."""
    lane.said(deciding("A fact.", [(ID, "First."), (OTHER_ID, "Second.")]), json.dumps({"action": "update", "targetId": ID}))
    found = lane.ask(deciding("A fact.", [(NEW_ID, "First."), (THIRD_ID, "Third.")]))
    assert json.loads(said(found))["targetId"] == NEW_ID
    assert found.match["context"] == {"only recorded": ["Second."], "only asked": ["Third."]}
    lost = lane.ask(deciding("A fact.", [(THIRD_ID, "Third.")]))
    assert (lost.tier, lost.status) == ("miss", 503)
    assert "First." in lost.match["why"]


def test_ids_and_the_day_are_those_of_the_replay(lane: Any, said: Any) -> None:
    """What stands for an id or the day in the question stands for it in the answer, also after an escaped line end."""
    lane.said(f"Rate [4a1accbf] and {OTHER_ID} of 2025-11-23.", f"Notes of 2025-11-23\n4a1accbf\n{OTHER_ID}; since 2024-01-01")
    found = lane.ask(f"Rate [0c91a9ec] and {NEW_ID} of 2026-11-18.")
    assert found.tier == "rewritten"
    assert said(found) == f"Notes of 2026-11-18\n0c91a9ec\n{NEW_ID}; since 2024-01-01"


def test_the_day_in_a_wording_is_found_where_the_wordings_differ(lane: Any, said: Any) -> None:
    """A summary asked in other words, on another day, is dated by that day."""
    lane.said('You are reviewing a cleaned transcript. "# 2025-11-23 Notes" Max 15.\n\nConversation:\nUser: hello', "# 2025-11-23 Session Notes")
    found = lane.ask('You are reviewing a cleaned transcript! "# 2026-11-18 Notes" max 15\n\nConversation:\nUser: hello')
    assert (found.match["by"], said(found)) == ("payload", "# 2026-11-18 Session Notes")


def test_bound_ids_choose_among_questions_that_look_alike(lane: Any, said: Any) -> None:
    """Two recorded questions that differ in an id alone are told apart by what that id is in this replay."""
    lane.said(f"Explain {ID}.", "the first")
    lane.said(f"Explain {OTHER_ID}.", "the second")
    lane.bindings.bind("uuid", OTHER_ID, NEW_ID, 1, "$.id")
    assert said(lane.ask(f"Explain {NEW_ID}.")) == "the second"


def results(*aspects: str) -> str:
    """Spell what a model says of each item of a list."""
    return json.dumps({"results": [{"i": place, "aspect": aspect} for place, aspect in enumerate(aspects, 1)]})


def test_a_list_in_another_order_gets_its_own_results(lane: Any, classifying: Any, said: Any) -> None:
    """Each item keeps what was said of it, under the number that it has now; what the daemon knew else is told."""
    lane.said(classifying("Priya (person)", "[none yet]", ["first", "second\n1. of two lines", "third"]), results("one", "two", "three"))
    found = lane.ask(classifying("priya (person)", "details", ["third", "first", "second\n1. of two lines"]))
    assert json.loads(said(found)) == {"results": [{"i": 1, "aspect": "three"}, {"i": 2, "aspect": "one"}, {"i": 3, "aspect": "two"}]}
    assert (found.tier, found.match["context"]) == ("rewritten", ["[none yet]", "details"])


def test_items_come_together_as_they_fall(lane: Any, classifying: Any, said: Any) -> None:
    """A list that was recorded in two parts is answered out of both, and each part alone; what no list held is a miss."""
    first = lane.said(classifying("Priya (person)", "details", ["a", "b"]), f"<think>so</think>```json\n{results('of a', 'of b')}\n```")
    second = lane.said(classifying("Priya (person)", "details", ["c"]), results("of c"))
    found = lane.ask(classifying("Priya (person)", "details", ["c", "b"]))
    assert json.loads(said(found))["results"] == [{"i": 1, "aspect": "of c"}, {"i": 2, "aspect": "of b"}]
    assert (found.tier, found.match["by"], found.match["exchanges"]) == ("rewritten", "items", [second, first])
    assert lane.ask(classifying("Priya (person)", "details", ["c", "d"])).tier == "miss"
    assert lane.store.unasked() == []


def test_an_item_of_another_entity_is_another_item(lane: Any, classifying: Any) -> None:
    """What was said of a fact for its own entity comes first, of another it is told; of a fact that differs in a digit nothing is said."""
    lane.said(classifying("Priya (person)", "details", ["kept for 90 days", "b"]), results("x", "y"))
    other = lane.said(classifying("Tomas (person)", "details", ["kept for 90 days", "c"]), results("z", "w"))
    own = lane.ask(classifying("Tomas (person)", "details", ["kept for 90 days"]))
    assert (own.match["exchanges"], "context" in own.match) == ([other], False)
    strange = lane.ask(classifying("Wei (person)", "details", ["c", "kept for 90 days"]))
    assert strange.match["context"] == {"items of another list's entity": [1, 2]}
    assert lane.ask(classifying("Priya (person)", "details", ["kept for 30 days"])).tier == "miss"


def test_results_without_numbers_are_not_moved(lane: Any, classifying: Any) -> None:
    """An answer that can't be read by number is given for its very list alone."""
    asked = classifying("Priya (person)", "details", ["a", "b"])
    lane.said(asked, "I would rather not say.")
    assert lane.ask(asked).tier == "exact"
    lost = lane.ask(classifying("Priya (person)", "details", ["b", "a"]))
    assert (lost.tier, "no results by number" in lost.match["why"]) == ("miss", True)


def test_the_order_of_evidence_is_no_difference(lane: Any, said: Any) -> None:
    """A note from the same evidence in another order is the same note; from other evidence that is told, on another question it is none."""
    asked = "Write one concise atomic memory note from it.\nQuestion: what?\n\nEvidence:\n"
    lane.said(f"{asked}1. [{ID}; 2025-11-23; fact] One.\n2. [{OTHER_ID}; 2024-01-01; fact] Two.", "A note.")
    found = lane.ask(f"{asked}1. [{NEW_ID}; 2024-01-01; fact] Two.\n2. [{THIRD_ID}; 2026-11-18; fact] One.")
    assert (said(found), found.tier, found.match["by"]) == ("A note.", "normalised", "payload")
    less = lane.ask(f"{asked}1. [{NEW_ID}; 2024-01-01; fact] Two.")
    assert (less.match["by"], bool(less.match["context"])) == ("task", True)
    assert lane.ask(f"{asked}1. [{NEW_ID}; 2024-01-01; fact] Two.".replace("what?", "when?")).tier == "miss"


def test_ids_are_found_by_their_lines_where_texts_differ(lane: Any, said: Any) -> None:
    """A session is rated by its transcript; the memories that it was given are paired by what they say, and that they differ is told."""
    asked = "Evaluate how well pre-loaded memories served.\n\n{}\n\nSession transcript (last 4000 chars):\nUser: hello"
    lane.said(asked.format("- [4a1accbf] (score=0.90) One.\n- [2882c46b] (score=0.80) Two."), "4a1accbf: 0.5, 2882c46b: 0.6")
    found = lane.ask(asked.format("- [0c91a9ec] (score=0.80) Two.\n- [c287d471] (score=0.70) Three."))
    assert (said(found), found.match["by"]) == ("4a1accbf: 0.5, 0c91a9ec: 0.6", "task")
    assert lane.ask(asked.format("").replace("hello", "help")).tier == "miss"


def test_a_text_is_wrapped_for_another_wire(lane: Any) -> None:
    """What was recorded on one wire is given on each other, whole and as a stream, with its counts of tokens."""
    lane.said("Hello", "Hi there", options={})
    message = {"model": "small", "messages": [{"role": "user", "content": "Hello"}]}
    openai = lane.answer("/v1/chat/completions", message)
    assert (openai.tier, json.loads(openai.pieces[0])["choices"][0]["message"]["content"]) == ("rewritten", "Hi there")
    claude = lane.answer("/v1/messages", message)
    assert json.loads(claude.pieces[0])["content"] == [{"type": "text", "text": "Hi there"}]
    lines = lane.answer("/api/chat", message)
    assert lines.chunked
    assert [json.loads(piece)["message"]["content"] for piece in lines.pieces] == ["Hi there", ""]
    events = lane.answer("/v1/chat/completions", {**message, "stream": True})
    assert events.pieces[-1] == b"data: [DONE]\n\n"
    said = [json.loads(piece[6:])["choices"][0]["delta"] for piece in events.pieces[:-1]]
    assert "".join(each.get("content", "") for each in said) == "Hi there"


def test_a_stream_is_gathered_where_none_is_asked_for(lane: Any, said: Any) -> None:
    """The pieces of a recorded stream make the text of a whole answer."""
    pieces = [
        b'data: {"choices":[{"delta":{"content":"Hi "}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"there"}}]}\n\n',
        b"data: [DONE]\n\n",
    ]
    body = {"model": "small", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    lane.add("/v1/chat/completions", body, b"".join(pieces), chunks=pieces, media=b"text/event-stream")
    same = lane.answer("/v1/chat/completions", body)
    assert (same.pieces, same.chunked, same.tier) == (tuple(pieces), True, "exact")
    assert said(lane.ask("Hello")) == "Hi there"


def test_an_id_that_two_pieces_of_a_stream_share_is_replaced(lane: Any) -> None:
    """Where the model said an id in two pieces, the stream is made anew with the whole text."""
    pieces = [
        b'data: {"choices":[{"delta":{"content":"it is %b"}}]}\n\n' % ID[:10].encode(),
        b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % ID[10:].encode(),
    ]
    body = {"model": "small", "stream": True}
    lane.add("/v1/chat/completions", {**body, "messages": [{"role": "user", "content": f"Name {ID}"}]}, b"".join(pieces), chunks=pieces)
    found = lane.answer("/v1/chat/completions", {**body, "messages": [{"role": "user", "content": f"Name {NEW_ID}"}]})
    assert NEW_ID.encode() in found.pieces[0]
    assert ID[:10].encode() not in b"".join(found.pieces)


def test_vectors_go_from_wire_to_wire_and_into_lists(lane: Any) -> None:
    """A text embedded alone is found in a list, one of a list alone, and number by number it is the same vector."""
    lane.add("/api/embeddings", {"model": "e", "prompt": "one"}, {"embedding": [0.1, -2e-7]})
    lane.add("/v1/embeddings", {"model": "e", "input": ["two", "three"]}, {"data": [{"embedding": [2.5]}, {"embedding": [3.5]}]})
    found = lane.answer("/api/embed", {"model": "e", "input": ["three", "one"]})
    assert json.loads(found.pieces[0])["embeddings"] == [[3.5], [0.1, -2e-7]]
    assert json.loads(lane.answer("/api/embeddings", {"model": "e", "prompt": "two"}).pieces[0]) == {"embedding": [2.5]}
    assert lane.answer("/api/embed", {"model": "e", "input": ["one", "four"]}).tier == "miss"
    assert lane.answer("/api/embeddings", {"model": "f", "prompt": "one"}).tier == "miss"


def test_what_there_is_is_told_on_either_wire(lane: Any) -> None:
    """A daemon that asks another wire whether its provider lives gets the recorded models."""
    lane.add("/api/tags", b"", {"models": [{"name": "small:1b"}]})
    found = lane.answer("/v1/models", b"")
    assert json.loads(found.pieces[0])["data"][0]["id"] == "small:1b"


def test_a_miss_is_an_error_that_names_the_nearest(lane: Any) -> None:
    """What was not recorded gets 503 in the wire's own form, and the record names the nearest call of the stage and what differs."""
    lane.said("Given this fact stored in a personal memory system: the sea is blue.", "Why?")
    near = lane.said("Given this fact stored in a personal memory system: Helios keeps raw events for 90 days.", "How long?")
    lost = lane.ask("Given this fact stored in a personal memory system: Helios keeps raw events for 30 days.")
    assert (lost.status, lost.tier, lost.stage) == (503, "miss", "hints")
    assert lost.match["nearest"]["exchange"] == near
    assert lost.match["difference"] == [{"recorded": "90", "asked": "30"}]
    assert "no live model" in json.loads(lost.pieces[0])["error"]
    openai = lane.answer("/v1/chat/completions", {"messages": [{"role": "user", "content": "New."}]})
    assert "message" in json.loads(openai.pieces[0])["error"]
    claude = lane.answer("/v1/messages", {"messages": [{"role": "user", "content": "New."}]})
    assert json.loads(claude.pieces[0])["type"] == "error"


def test_a_miss_of_an_unrecorded_stage_has_no_nearest(lane: Any) -> None:
    """Where nothing of a stage was recorded, nothing is named."""
    assert "nearest" not in lane.ask("You are a reranker.").match


def test_a_recording_knows_what_was_never_asked(lane: Any) -> None:
    """What was given is taken off the list, once."""
    lane.said("one", "1")
    lane.said("two", "2")
    lane.ask("two")
    lane.ask("two")
    assert lane.store.unasked() == [("other", 1)]
    assert lane.store.calls() == {"other": 2}


def test_what_lies_outside_a_stretch_comes_last(lane: Any, said: Any, present: Any) -> None:
    """Of a part of a recording its own answers are given first, and only they can be left over."""
    lane.said("Say a number.", "before")
    lane.said("Say a number.", "within")
    lane.said("Another.", "never")
    store = Store(present).fill(lane.exchanges[1:2])
    store.fill([lane.exchanges[0], lane.exchanges[2]], in_part=False)
    answering = Answering("provider", store, present, lane.bindings)
    ask = read_ask(b"POST", b"/api/generate", lane.exchanges[0].request.body)
    assert [said(answering.answer(ask)) for _ in range(3)] == ["within", "before", "before"]
    assert (store.calls(), store.unasked()) == ({"other": 1}, [])


def test_an_answer_that_was_cut_stays_cut(lane: Any) -> None:
    """What the recorded daemon left is held open after its pieces, what the provider broke off is broken off."""
    body = {"model": "small", "prompt": "long", "stream": True}
    lane.add("/api/generate", body, b"{}\n", chunks=[b"{}\n"], end=EndReason.CLIENT_LEFT)
    lane.add("/api/generate", body, b"{}\n", chunks=[b"{}\n"], end=EndReason.SERVER_CLOSED)
    held, broken = lane.answer("/api/generate", body), lane.answer("/api/generate", body)
    assert (held.whole, held.broken, broken.whole, broken.broken) == (False, False, False, True)


@given(st.binary(max_size=2000))
def test_packing_loses_nothing(data: bytes) -> None:
    """What is packed comes out as it was."""
    assert unpack(pack(data)) == data


@given(st.text(), st.text())
def test_equal_texts_have_no_differences(one: str, other: str) -> None:
    """Differences are there exactly where the words are not the same."""
    assert bool(differences(one, other)) == (one.split() != other.split())
