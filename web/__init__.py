"""HTTP: doors for providers and departments, the desk, the public pages."""
