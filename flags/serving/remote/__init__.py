"""The candidate as a deployment of its own: any BentoML server, reached over HTTP.

`migrate` takes its `address`. The worker calls `side`, which makes calls by `client`; `requests`
writes requests, `answers` reads answers. `link` checks that the server is reachable and has the
right schema (`schema`), and allows or refuses calls (`breaker`); `connections` limits the number of
concurrent calls.
"""
