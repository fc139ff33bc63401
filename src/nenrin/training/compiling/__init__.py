"""Compiled forms of models: tables that one C function walks, admitted only where they answer the same."""
