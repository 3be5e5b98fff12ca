// The command line of allocbench-peers.

import Diagnostics

struct PeerOptions: Equatable {
    /// Fewer say too little for a page that others take figures from.
    static let pairsOfPage = 5

    var pairs = PeerOptions.pairsOfPage
    /// Nil for all.
    var only: [String]?
    var results = "results/peers"
    var size = PeerSize.full
    var state = ".allocbench-peers"
    /// The page whose table is rewritten; nil for none.
    var wiki: String?
    var kafkaHome: String?

    static let help = """
        usage: allocbench-peers [flags]

        Measures paths of AllocBench beside what a user would pick instead, each pair interleaved on one machine.

          --pairs N         how often each side runs (default 5)
          --only NAME,...   these pairs alone
          --size NAME       full (default), or tiny: seconds, to see that all of it works
          --results DIR     where the folder of results goes (default results/peers)
          --state DIR       where services have their data (default .allocbench-peers)
          --kafka-home DIR  a Kafka distribution instead of the mock broker (or KAFKA_HOME); '' for the mock
          --wiki FILE       the page whose table is rewritten, with what was measured in full and \(pairsOfPage) times at
                            least; '' for none
        """

    /// - Parameter names: of all pairs.
    init(_ arguments: [String], names: [String], kafkaHome: String? = nil) throws(InputError) {
        self.kafkaHome = kafkaHome.flatMap { $0.isEmpty ? nil : $0 }
        var rest = arguments[...]
        while let flag = rest.popFirst() {
            let parts = flag.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let value = parts.count == 2 ? parts[1] : rest.popFirst() else {
                throw InputError(InputFault(source: flag, expected: "a flag and its value (allocbench-peers --help)"))
            }
            try set(parts[0], value, names: names)
        }
        try requirePublishable()
    }

    /// A trial's figures would stand on the page like all others.
    private func requirePublishable() throws(InputError) {
        guard wiki != nil else { return }
        let otherwise = "or no page to rewrite (make peers WIKI=)"
        var faults: [InputFault] = []
        if size != .full {
            faults.append(
                InputFault(source: "--size", value: size.rawValue, expected: "full with --wiki, \(otherwise)"))
        }
        if pairs < Self.pairsOfPage {
            faults.append(
                InputFault(
                    source: "--pairs", value: String(pairs),
                    expected: "at least \(Self.pairsOfPage) with --wiki, \(otherwise)"))
        }
        if !faults.isEmpty { throw InputError(faults) }
    }

    private mutating func set(_ flag: String, _ value: String, names: [String]) throws(InputError) {
        func fault(_ expected: String) -> InputError {
            InputError(InputFault(source: flag, value: value, expected: expected))
        }
        switch flag {
        case "--pairs":
            guard let count = Int(value), (1...1000).contains(count) else { throw fault("1 to 1000") }
            pairs = count
        case "--only":
            let wanted = value.split(separator: ",").map(String.init)
            if let unknown = wanted.first(where: { !names.contains($0) }) {
                let near = nearestWord(to: unknown, among: names)
                throw fault(near ?? "some of \(names.joined(separator: ", "))")
            }
            only = wanted
        case "--size":
            guard let named = PeerSize(rawValue: value) else { throw fault("tiny or full") }
            size = named
        case "--results": results = value
        case "--state": state = value
        case "--kafka-home": kafkaHome = value.isEmpty ? nil : value
        case "--wiki": wiki = value.isEmpty ? nil : value
        default: throw fault("a flag of allocbench-peers (--help)")
        }
    }
}
