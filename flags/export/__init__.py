"""Carry pairs out of the worker: encode spans, append them to files, account for every one."""
