"""What flows: events, facts, conversation rows, dead letters, topics and rules. Imports nothing of ours."""
