"""
What a place's cause is: the recognisers, from the surest to the most general.

How this works
--------------
Each place is given a `Kin`: what defines its cause, and so the cause's lasting id. Nothing in it counts, and no concrete value that changes
from night to night is part of it, so that one more place of a habit never gives it another id. The recognisers are asked in this order:

1. *habits of a writer* hold over all routes: formats of times, numbers and booleans, null keys left out, key case, an empty value for null;
2. *the wire*: headers by what they are for, streams that end, status by what kind of change it is and by the words of the refusal;
3. *tools of an RPC*: the list of tools by what differs in it, and calls that the candidate does not know;
4. *messages for people*: of errors, and of success;
5. *shape*: an answer that is another object altogether, or keys that a thing lacks or has more wherever it is shown;
6. *defaults*: one key with one pair of values again and again;
7. *state*: which and how many things there are, and what their fields hold, each thing once.

A cause of the kinds 5 and 7 belongs to a thing (see `things`), and gathers it over the routes.
"""

from replay.judge.contents import of_default, of_shape, of_store, of_words, survey
from replay.judge.habits import of_habit
from replay.judge.kinds import Context, Kin
from replay.judge.sights import Sight
from replay.judge.wires import of_rpc, of_tool_list, of_wire


def kin_of(place: Sight, context: Context) -> Kin:
    """Say what defines the cause of a place, with what `survey` saw of all places."""
    for recognise in (_of_check, of_tool_list, of_habit, of_wire, of_rpc, of_words, of_shape, of_default):
        kin = recognise(place, context)
        if kin is not None:
            return kin
    return of_store(place)


def _of_check(place: Sight, _: Context) -> Kin | None:
    """What no exchange shows: tables, files, secrets, what was asked of a model."""
    if place.cluster.check == "http":
        return None
    if place.cluster.check == "provider":
        return Kin("asked", ("never" if place.finding.transition == "never" else "otherwise",))
    return Kin("check", (place.cluster.check, place.finding.quirk or place.cluster.kind, place.cluster.path))


__all__ = ["kin_of", "survey"]
