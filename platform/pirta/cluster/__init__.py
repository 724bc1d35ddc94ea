"""The Kubernetes client: the only place that imports kubernetes."""
