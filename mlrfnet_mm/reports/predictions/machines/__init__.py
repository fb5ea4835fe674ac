"""One prediction by several processes or machines: shards that are joined, by hand or by Ray."""
