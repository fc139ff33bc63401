"""Content stores: where bytes named by their digest are kept."""
