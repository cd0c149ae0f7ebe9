"""What it costs to run small programs on time: ours, the floor, and peers, with the same witness."""
