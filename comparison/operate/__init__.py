"""Hold the commands that move a flag by what the pairs say."""
