"""A module for `multiprocessing`'s fork server only: importing it has effects.

The fork server ends when the worker does. A SIGTERM that reaches it as well, as systemd sends it to
every process of a service, would take the candidate from a worker that still has requests to
answer.
"""

import signal

import flags.serving.isolated.child  # noqa: F401 - so that no candidate's process has to import BentoML
from flags.serving.isolated.session import adopt_orphans

signal.signal(signal.SIGTERM, signal.SIG_IGN)
adopt_orphans()
