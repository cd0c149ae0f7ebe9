"""Command-line tools for authors, on-call engineers and operators."""
