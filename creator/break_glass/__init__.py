"""Commands for the operator on Creator's host, for what no page offers."""
