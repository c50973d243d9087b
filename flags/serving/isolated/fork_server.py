"""A module that only `multiprocessing`'s fork server imports: importing it has side effects.

The fork server ends when the worker does. It ignores SIGTERM, which systemd sends to every process
of a service: otherwise a worker that still has requests to answer would lose its candidate.
"""

import signal

import flags.serving.isolated.child  # noqa: F401 - so that no candidate's process has to import BentoML
from flags.serving.isolated.session import adopt_orphans, remove_temporary_files

signal.signal(signal.SIGTERM, signal.SIG_IGN)
remove_temporary_files()  # after the orphans, which may use them: handlers run in reverse order
adopt_orphans()
