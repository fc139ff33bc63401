"""Other people's formats and tools: container images, Kubernetes, KServe."""
