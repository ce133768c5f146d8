"""How it starts: settings, composition, the command line, the embedded stack, telemetry."""
