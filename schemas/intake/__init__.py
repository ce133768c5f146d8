"""Foreign formats, mapped to events before they reach a topic."""
