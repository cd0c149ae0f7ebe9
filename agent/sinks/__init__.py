"""Where points go: one file per sink behind the port in `port.py`."""
