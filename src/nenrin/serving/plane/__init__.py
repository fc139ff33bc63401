"""The live data plane: answers requests in a process of its own, control process up or down."""
