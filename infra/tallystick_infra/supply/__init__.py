"""What this product is made of that others made: the bill of materials, and which of it has known vulnerabilities. For `make audit`, from the lock files."""
