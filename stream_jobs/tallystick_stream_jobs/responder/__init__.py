"""The responder: findings and people's orders become locks. `policy`, `book`, `orders` are pure; `job` is the shell; `client` orders."""
