"""The pages that a manager sees."""
