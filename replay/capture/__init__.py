"""
From mitmproxy's flows to records, without the client noticing.

How this works
--------------
`addons/record.py` is only the way in: it declares the options (`options`) and has `recorder.install` put one `Recorder` among the master's
own addons. There it stays when the script is touched or deleted in mid-traffic, so the recording goes on.

    mitmdump      recorder ─▶ feed ─▶ frames ═ pipe ═▶ writing      the writer process: redact, encode, encrypt, disk
                  flows, sampling, shedding, costs              └─▶ snapshots   a process for each copy of the workspace

The `Recorder` runs in the proxy's event loop and does nothing slow: it numbers what it sees and hands plain tuples to the `Feed`, which
never waits and never grows. Everything else is the writer's (`writing`), a process of its own that outlives the proxy for as long as it takes
to seal. A hook that fails, a writer that falls behind or dies and a disk that refuses are counted and said aloud; the client's request goes
its way all the same. (With `parity_on_error=stop` mitmdump ends with exit code 3 instead.)

What passes through a bare mitmproxy changed or not at all passes so here too, and it is on record as mitmproxy delivered it: `Expect` is
on record, but the proxy answers it and does not pass it on; 100 and 103 are taken for the final answer; a response with trailers ends in
the proxy's own error, and over a request with trailers it breaks down; websocket messages and protocols other than HTTP are counted as gaps.

This package itself imports nothing: the writer must start quickly, and never loads mitmproxy.
"""
