"""Coverage-guided fuzzing of the query language: `make fuzz`.

front       any bytes: a query within the bounds, or a refusal that names its path
agreement   random queries: the compiled SQL on a real PostgreSQL and the plain reading find the same rows

Both are properties that tests try as well (tests/unit/test_query.py, tests/store/test_predicates.py); here only the
inputs are made up in another way. atheris sees which branches of the parser, the compiler and the plain reading an
input reaches, and goes on from those that reach new ones.

targets     the two, as functions of bytes
process     one of them in a process of its own, under atheris or once
mutations   how their inputs are changed, beside libFuzzer's ways
tally       how far that process has come, for whoever started it
seeds       what it begins with
"""
