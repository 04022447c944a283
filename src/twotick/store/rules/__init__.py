"""The rules: pure functions and small records, without SQL, cache or clock."""
