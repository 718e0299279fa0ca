"""
The writer process: everything slow that recording takes happens here, none of it in mitmdump.

How this works
--------------
`python -P -m replay.capture.writing` is started by `replay.capture.feed` with a pipe as its standard input. It reads frames, turns messages
into records, redacts them, and appends them to an archive through the `journal`, which goes on in a new archive where the disk refused.
Beside that it looks after the snapshots (`snapshotting`, each in a third process), the workspace's files and the files that requests name
(`beside`), and a file that says how it goes (`status`). Whatever of this needs a place among the event numbers asks the proxy for one:
numbers are drawn there alone.

It answers with lines of JSON. It ignores INT, TERM and HUP and ends at the end of its pipe: told to stop, it seals; where the pipe ends
without that, the proxy died, and it seals what it has as cut.
"""
