"""
Checks beside the traffic: each yields `Finding`s from evidence that a replay left, and knows no other check.

There so far: `secrets` (are they sealed, are the same ones there). State, schema, recall, pipeline, rollback and footprint are not there yet.
"""
