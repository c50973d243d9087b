"""The candidate in a process of its own, at the other end of a pipe.

`side` is what the worker calls; it keeps a `process`, the worker's view of one child. `child` is
the program of that process: it loads the candidate's service and answers calls through `host`.
`fork_server` is preloaded by the server that starts children. Messages travel over `pipe`;
`transfer` and `portable_errors` hold what plain pickle cannot carry. `stream_client` and
`host_stream` are the two ends of an answer that is a stream.

A candidate with an `environment` of its own has an `interpreter_side` in place of all that: its
process is started by `launcher`, and is a server at a socket.
"""
