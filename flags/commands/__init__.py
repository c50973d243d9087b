"""Hold the commands of `bentoml migration` that touch only the flag, one module each."""
