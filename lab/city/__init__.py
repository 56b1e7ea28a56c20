"""The sample city: people for every role, and the story of one request told over HTTP."""
