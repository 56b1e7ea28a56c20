"""Code that runs inside the node's namespaces; it imports little, as it stays in memory."""
