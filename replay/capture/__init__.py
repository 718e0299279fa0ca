"""
From mitmproxy's flows to records, without the client noticing.

How this works
--------------
`addons/record.py` is only the way in: it declares the options (`options`) and has `install` put one `Recorder` among the master's own addons.
There it stays when the script is touched or deleted in mid-traffic, so the recording goes on.

The `Recorder` (`recorder`) runs in the proxy's event loop and does nothing slow: it numbers what it sees, turns flows into records (`flows`)
and puts them into the queue of a `Journal` (`journal`), whose thread redacts, writes, waits for the disk and takes the snapshot. A hook that
fails, a queue that is full and a disk that refuses are counted and said aloud; the client's request goes its way all the same. (With
`parity_on_error=stop` mitmdump ends with exit code 3 instead.)

What passes through a bare mitmproxy changed or not at all passes so here too, and it is on record as mitmproxy delivered it: `Expect` is
on record, but the proxy answers it and does not pass it on; 100 and 103 are taken for the final answer; a response with trailers ends in
the proxy's own error, and over a request with trailers it breaks down; a malformed request head is refused by the proxy without any hook,
so that it can't even be counted; websocket messages and protocols other than HTTP are counted as gaps.
"""

from replay.capture.options import check_listeners, declare_options, default_folder
from replay.capture.recorder import Recorder, install

__all__ = ["Recorder", "check_listeners", "declare_options", "default_folder", "install"]
