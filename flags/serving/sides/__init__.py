"""Call one side where it runs: in this process, in a runner, in a process of its own."""
