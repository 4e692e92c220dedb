"""Labs that outlive the command that started them: one process holds each, others find it by name and join in."""
