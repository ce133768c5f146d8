"""Planning past one machine: measured figures, a plan in closed form, and a simulation that checks it."""
