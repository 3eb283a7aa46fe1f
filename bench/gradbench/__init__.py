"""GradBench's evals: their objective functions, a tool that speaks its protocol, and a driver."""
