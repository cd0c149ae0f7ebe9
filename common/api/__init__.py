"""The calls of the API, one class per kind of object; `common/api_client.py` brings them together."""
