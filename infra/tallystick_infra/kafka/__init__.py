"""Apache Kafka: the embedded broker (`broker`), its jars (`jars`), and topics on any cluster (`topics`)."""
