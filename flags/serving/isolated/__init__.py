"""The candidate in a process of its own, connected to the worker by a pipe.

The worker calls `side`, which keeps a `process`, the worker's view of one child process. `child` is
the program of that process: it loads the candidate's service and answers calls through `host`.
`fork_server` is preloaded by the server that starts children. `messages` travel over `pipe`;
`transfer`, `responses` and `portable_errors` convert values that plain pickle cannot carry.
`stream_client` and `host_stream` are the two ends of an answer that is a stream.

A candidate with an `environment` of its own has an `interpreter_side` instead: its process is
started by `launcher`, and is a server at a socket.
"""
