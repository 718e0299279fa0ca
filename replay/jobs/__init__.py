"""What wires rooms into one piece of work: one module a job. A job takes plain values and gives a value; it neither prints nor exits."""
