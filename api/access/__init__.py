"""Who may: API keys, people who sign in, and the guards before every endpoint."""
