"""The notary: verifies and orders every record, stores it, and gives receipts. `core` is pure; `job` is its shell on Faust."""
