// Every pair, in the order in which they run and are listed.

func allPairs(_ size: PeerSize) -> [any PeerPair] {
    [
        PgbenchPair(.full, size), PgbenchPair(.pipelined, size), PgbenchPair(.fills, size), PsqlPair(.batch, size),
        PsqlPair(.cycle, size), VerifierPair(size),
        FeedPair(size), DebeziumFeedPair(size), CapturePair(size), ConsumePair(size), SeedPair(size, parallelism: 1),
        SeedPair(size, parallelism: 2),
    ]
}
