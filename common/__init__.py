"""Contracts and clients that cross a process border; imports nothing else of ours."""
