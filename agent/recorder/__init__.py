"""The flight recorder: what the last runs of each prober did and said, on disk, readable when the agent is dead."""
