"""The API: holds every description, serves the configuration document, the pages and the reports of agents."""
