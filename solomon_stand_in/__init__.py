"""A stand-in for Solomon, for development and tests: strict about the wire, honest about what it is."""
