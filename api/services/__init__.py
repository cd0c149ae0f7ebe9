"""What the API does: functions over a session and plain values; nothing here knows HTTP."""
