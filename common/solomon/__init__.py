"""Solomon as a client sees it: points as values, an encoder per dialect, answers classified, tokens, one HTTP call.

Nothing here knows settings, threads or disks; who sends when is `agent/sinks/`.
"""
