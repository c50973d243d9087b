"""The places where a side runs: this process, a runner, a process of its own."""
