"""ClickHouse: the embedded server (`server`, the same engine through chDB behind ClickHouse's HTTP interface) and the tables (`migrations`)."""
