"""The agent: runs probers on one host, counts their outcomes, pushes them to Solomon and reports to the API."""
