"""Online stores: newest values by key, beside the content store."""
