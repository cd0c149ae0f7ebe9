"""Values that cross a process border: requests, replies, the configuration document and how it resolves."""
