"""Commands of ``spinlogit`` about language models, one module each."""
