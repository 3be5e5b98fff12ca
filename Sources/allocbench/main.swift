// Entry point: finds the verb, parses its flags, runs it, and turns errors into one line and an exit status.

print("allocbench")
