// How much to generate, by name or by number. A plain value.

public import Diagnostics

public struct SeedSizes: Sendable, Hashable {
    public var securities: Int
    /// Trading days of price history.
    public var days: Int
    public var managers: Int
    /// Orders of one manager group are aggregated into common block orders.
    public var managerGroups: Int
    public var accounts: Int
    public var positionsPerAccount: Int

    public init(
        securities: Int, days: Int, managers: Int, managerGroups: Int, accounts: Int, positionsPerAccount: Int
    ) {
        self.securities = securities
        self.days = days
        self.managers = managers
        self.managerGroups = managerGroups
        self.accounts = accounts
        self.positionsPerAccount = positionsPerAccount
    }

    /// For tests: everything fits on a screen.
    public static let tiny = SeedSizes(
        securities: 20, days: 20, managers: 2, managerGroups: 1, accounts: 40, positionsPerAccount: 10)
    public static let small = SeedSizes(
        securities: 100, days: 60, managers: 10, managerGroups: 2, accounts: 1_000, positionsPerAccount: 20)
    public static let medium = SeedSizes(
        securities: 500, days: 250, managers: 100, managerGroups: 10, accounts: 10_000, positionsPerAccount: 50)
    public static let large = SeedSizes(
        securities: 2_000, days: 1_250, managers: 500, managerGroups: 20, accounts: 100_000, positionsPerAccount: 50)

    public static let names = ["tiny", "small", "medium", "large"]

    public init(name: String) throws(InputFault) {
        switch name {
        case "tiny": self = .tiny
        case "small": self = .small
        case "medium": self = .medium
        case "large": self = .large
        default:
            let near = nearestWord(to: name, among: SeedSizes.names).map { "; did you mean \"\($0)\"?" } ?? ""
            throw InputFault(source: "--size", value: name, expected: "tiny, small, medium or large\(near)")
        }
    }

    /// Throws every number that makes no sense in one error.
    public func validate() throws(InputError) {
        var faults: [InputFault] = []
        func expect(_ flag: String, _ value: Int, _ range: ClosedRange<Int>, _ suffix: String = "") {
            guard !range.contains(value) else { return }
            faults.append(
                InputFault(
                    source: flag, value: String(value),
                    expected: "\(range.lowerBound) to \(range.upperBound)\(suffix)"))
        }
        expect("--securities-count", securities, 1...100_000)
        expect("--days", days, 1...20_000)
        expect("--managers", managers, 1...1_000_000)
        expect("--manager-groups", managerGroups, 1...max(1, managers), ", the number of managers")
        expect("--accounts", accounts, 1...100_000_000)
        expect(
            "--positions-per-account", positionsPerAccount, 1...max(1, securities), ", the number of securities")
        if !faults.isEmpty { throw InputError(faults) }
    }
}
