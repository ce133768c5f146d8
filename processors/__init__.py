"""How it flows: the pure fold and its rules; at the rim the Faust app, its agents and the record-batch transport."""
