"""Labs whose nodes are containers: what runs inside of each, and how they are made without Containerlab."""
