"""Stage 7: deployments, their routes, the prediction log and the live plane that answers."""
