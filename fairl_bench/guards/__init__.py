"""Care with what others have made: answers of parts, what parts change, secrets, and names and files from outside."""
