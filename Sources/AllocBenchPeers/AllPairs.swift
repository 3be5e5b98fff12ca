// Every pair, in the order in which they run and are listed.

func allPairs(_ size: PeerSize) -> [any PeerPair] {
    []
}
