"""Thin routes: parse, call a service, reply."""
