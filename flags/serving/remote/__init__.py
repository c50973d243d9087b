"""The candidate as a deployment of its own: any BentoML server, reached over HTTP.

`address` is what `migrate` is given. `side` is what the worker calls; it makes calls by `client`,
which writes requests by `requests` and reads answers by `answers`. `link` knows whether the server
is there and has the right schema (`schema`), and lets calls pass or not (`breaker`); `connections`
bounds how many are under way.
"""
