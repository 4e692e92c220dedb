"""Labs and records as text for people and for other tools. Pure: nothing is read, written or asked."""
