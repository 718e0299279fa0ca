"""
signet-parity: record what clients ask Signet's JS daemon, replay it offline on the Rust one, and judge where the two differ.

    record  ──▶  replay  ──▶  compare  ──▶  judge  ──▶  evidence ──▶ report, gate
    mitmdump     offline      two archives   rules+noise   append-only

The rooms, floor by floor. A room imports only rooms above it here (`pyproject.toml` has the contracts, `pytest` runs them):

    ground   model       the shared values, frozen
             routes      the route table as data: domain, replay class
             content     what bytes mean: parse, walk, exact-span rewrite, alignment
             identity    kinds of ids and times, bindings and their contradictions
             workspace   the daemon's own files: secrets, tokens, databases, copies
             demo        the embedded daemon pair and its client, with switchable faults
             redact      what to hide before disk, and the scanner for what was left
    record   archive     the file format: records, blocks, manifest, snapshots, seal, salvage
             capture     mitmproxy's flows to records
    replay   plan        order, data edges, what is safe to send
             daemon      describe, launch, cell, readiness
             play        send, receive, observe
    judge    compare     pair, make comparable, find what differs; hear the control
             checks      state-side checks (not there yet)
             judge       rules, noise, verdicts, clusters, canaries
             runs        the judged run on disk
    prove    evidence    ledger, checklist, gate
             report      terminal, page, Markdown, JUnit, JSON
    doors    interop     .mitm in and out
             jobs        what wires rooms into one piece of work
             cli         the command line

`addons/record.py` is mitmproxy's end of `capture`; nothing imports it.
"""
