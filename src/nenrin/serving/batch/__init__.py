"""Answers whole files: the same rows, versions and answers as a request, read and written by parts."""
