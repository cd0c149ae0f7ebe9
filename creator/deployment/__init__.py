"""One deployment: from what a cluster should be to what became of it."""
