"""Strangers' bytes are parsed here, in a child process under limits."""
