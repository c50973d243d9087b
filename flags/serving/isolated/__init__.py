"""Run the candidate in a process of its own, at the other end of a pipe.

`side` is what the worker calls; it keeps a `process`, the worker's view of one child. `program` is
what that child runs: it loads the candidate's service and answers calls through `host`. `pipe` and
`carried` hold what travels between the two. `stream_calls` and `hosted_stream` are the two ends of
an answer that is a stream.
"""
