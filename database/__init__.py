"""Tables, sessions and migrations, shared by API and Creator."""
