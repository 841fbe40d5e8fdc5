"""Readers of programs that strangers wrote: pure Python, bounded in time and memory, and no file is ever opened."""
