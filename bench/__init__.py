"""Measurements of Afterword beside others on the same input: `python -m bench`. README.md says what and how."""
