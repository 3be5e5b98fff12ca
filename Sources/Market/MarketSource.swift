// Where prices come from: a seeded generator or a folder with one CSV file per symbol.
// Nothing here touches the database; a file is read on the thread that asks for it.

public import CSV
import Diagnostics
import Glibc
import Measurement
public import Model

// MARK: Generator

/// Draws a walk of prices per security, in whole cents and whole numbers only: every machine gets the same ticks.
public struct PriceGenerator: Sendable {
    /// The last day of every generated history, a Thursday.
    public static let lastDate = TradeDate(dayNumber: 20_041)

    public let seed: UInt64
    /// Weekdays, the oldest first.
    public let dates: [TradeDate]

    public init(seed: UInt64, dayCount: Int) {
        self.seed = seed
        var dates: [TradeDate] = []
        var date = PriceGenerator.lastDate
        while dates.count < dayCount {
            if !date.isWeekend { dates.append(date) }
            date = date.advanced(by: -1)
        }
        self.dates = dates.reversed()
    }

    /// The history of one security, which depends on the seed and its key alone.
    public func prices(of securityID: SecurityID) -> [DailyPrice] {
        var random = SeededRandom(
            seed: seed, stream: PriceGenerator.stream, UInt64(bitPattern: securityID.rawValue))
        // One in eight trades under ten, half between ten and a hundred: most of a real market looks like that.
        let range: ClosedRange<Int64> =
            switch random.integer(in: 0...7) {
            case 0: 100...999
            case 1...4: 1_000...9_999
            default: 10_000...50_000
            }
        var closeCents = random.integer(in: range)
        return dates.map { date in
            let bar = PriceGenerator.nextBar(after: closeCents, &random)
            closeCents = bar.close
            return DailyPrice(
                securityID: securityID, date: date, open: Self.price(bar.open), high: Self.price(bar.high),
                low: Self.price(bar.low), close: Self.price(bar.close), volume: bar.volume)
        }
    }

    private typealias Bar = (open: Int64, high: Int64, low: Int64, close: Int64, volume: Int64)

    private static func nextBar(after closeCents: Int64, _ random: inout SeededRandom) -> Bar {
        // A day without trades repeats the last close, as the real files do.
        if random.integer(in: 1...25) == 1 { return (closeCents, closeCents, closeCents, closeCents, 0) }
        let open = moved(closeCents, byBasisPoints: random.integer(in: -80...80), &random)
        let close = moved(open, byBasisPoints: random.integer(in: -200...200), &random)
        let high = moved(max(open, close), byBasisPoints: random.integer(in: 0...120), &random)
        let low = moved(min(open, close), byBasisPoints: -random.integer(in: 0...120), &random)
        let volume = random.integer(in: 1...5_000) * random.integer(in: 1...2_000)
        return (open, max(open, close, high), min(open, close, low), close, volume)
    }

    /// Rounds up as often as the fraction of a cent is large, so that small prices move too.
    private static func moved(_ cents: Int64, byBasisPoints points: Int64, _ random: inout SeededRandom) -> Int64 {
        let scaled = cents * (10_000 + points) + random.integer(in: 0...9_999)
        return min(max(scaled / 10_000, 20), 1_000_000)
    }

    private static func price(_ cents: Int64) -> Price { Price(ticks: cents * (Price.ticksPerUnit / 100)) }

    /// Names the table in the streams of a seed.
    private static let stream: UInt64 = 0x5052_4943_4553
}

// MARK: Files

/// A folder that holds `SYMBOL.csv` for some of the securities; a security without a file has no prices.
public enum PriceFolder {
    /// Lists the price files by name. A file that belongs to no known symbol is a fault; other kinds of files are not.
    /// Without `securityIDs` every symbol passes, for checking files whose file of securities has faults itself.
    public static func files(
        in folder: String, securityIDs: [String: SecurityID]?, securitiesPath: String,
        faults: inout FaultCollector
    ) -> [PriceFile] {
        guard let names = fileNames(in: folder) else {
            faults.add(
                InputFault(source: folder, expected: "a readable folder (\(String(cString: strerror(errno))))"))
            return []
        }
        let base = folder.hasSuffix("/") ? folder : folder + "/"
        var files: [PriceFile] = []
        var foundAny = false
        for name in names.sorted() where name.hasSuffix(".csv") && !name.hasPrefix(".") {
            foundAny = true
            let symbol = String(name.dropLast(4))
            if let id = securityIDs == nil ? SecurityID(0) : securityIDs?[symbol] {
                files.append(PriceFile(path: base + name, securityID: id))
            } else {
                faults.add(
                    InputFault(
                        source: base + name, field: "symbol", value: symbol, expected: "a symbol of \(securitiesPath)"))
            }
        }
        if !foundAny {
            faults.add(InputFault(source: folder, expected: "a folder with a file per symbol, such as ABBV.csv"))
        }
        return files
    }

    /// Nil when the folder can't be read; `errno` then says why.
    private static func fileNames(in folder: String) -> [String]? {
        guard let stream = opendir(folder) else { return nil }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            // The name is as long as its terminating zero says, not as the array that C declares.
            guard let name = entry.pointer(to: \.d_name) else { continue }
            names.append(name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) })
        }
        return names
    }
}

/// What one pass over a price file found.
public struct PriceFileSummary: Sendable {
    public let securityID: SecurityID
    public internal(set) var rowCount = 0
    /// The latest day of the file, wherever it stands in it.
    public internal(set) var lastDate: TradeDate?
    public internal(set) var openOnLastDate: Price?
    /// The open on the day that was asked for.
    public internal(set) var openOnDate: Price?
    public internal(set) var faults = FaultCollector()
}

/// The prices of one security: `Date,Open,High,Low,Close,Volume`, US dates with a time of day that is dropped.
public struct PriceFile: Sendable {
    public static let columns = ["Date", "Open", "High", "Low", "Close", "Volume"]

    public let path: String
    public let securityID: SecurityID

    public init(path: String, securityID: SecurityID) {
        self.path = path
        self.securityID = securityID
    }

    /// Reads the whole file without keeping it. Every fault is in the summary; nothing is thrown.
    public func validate(openOn date: TradeDate? = nil) -> PriceFileSummary {
        var summary = PriceFileSummary(securityID: securityID)
        var faults = FaultCollector()
        do {
            // The closure can't throw, so the only error is the file's own.
            try read(faults: &faults) { price in
                summary.rowCount += 1
                if price.date == date { summary.openOnDate = price.open }
                if summary.lastDate.map({ $0 < price.date }) ?? true {
                    summary.lastDate = price.date
                    summary.openOnLastDate = price.open
                }
            }
        } catch let error as InputError {
            error.faults.forEach { faults.add($0) }
        } catch {
            faults.add(InputFault(source: path, expected: "a readable file (\(error))"))
        }
        summary.faults = faults
        return summary
    }

    /// Hands over every row; throws the file's faults, among them those it has got since it was validated.
    public func forEach(_ body: (DailyPrice) throws -> Void) throws {
        var faults = FaultCollector()
        try read(faults: &faults, body)
        try faults.throwIfAny()
    }

    private func read(faults: inout FaultCollector, _ body: (DailyPrice) throws -> Void) throws {
        let reader: CSVReader
        do { reader = try CSVReader(path: path) } catch { throw InputError(error) }
        var parser = PriceRowParser(securityID: securityID, columns: try reader.readHeader(PriceFile.columns))
        var hasRows = false
        while true {
            do {
                guard try reader.next() else { break }
                hasRows = true
            } catch {
                hasRows = true
                faults.add(error)
                continue
            }
            if let price = parser.price(in: reader, &faults) { try body(price) }
        }
        if !hasRows { faults.add(InputFault(source: path, expected: "at least one row after the header")) }
    }
}

/// Turns records into prices. Remembers the days it has seen: a file has one price per day.
struct PriceRowParser {
    private let securityID: SecurityID
    private let columns: [Int]
    private var lineOfDay: [Int: Int] = [:]

    init(securityID: SecurityID, columns: [Int]) {
        self.securityID = securityID
        self.columns = columns
    }

    /// Nil when the row has faults, all of which were added to `faults`.
    mutating func price(in reader: CSVReader, _ faults: inout FaultCollector) -> DailyPrice? {
        let date = date(in: reader, &faults)
        let open = amount(columns[1], in: reader, &faults)
        let high = amount(columns[2], in: reader, &faults)
        let low = amount(columns[3], in: reader, &faults)
        let close = amount(columns[4], in: reader, &faults)
        let volume = volume(in: reader, &faults)
        guard let high, let low else { return nil }
        guard low <= high else {
            faults.add(reader.fault(columns[2], expected: "a price of at least Low, \(low)"))
            return nil
        }
        var isInside = true
        for (column, price) in [(columns[1], open), (columns[4], close)] {
            guard let price, price < low || high < price else { continue }
            faults.add(reader.fault(column, expected: "a price from Low, \(low), to High, \(high)"))
            isInside = false
        }
        guard let date, let open, let close, let volume, isInside else { return nil }
        return DailyPrice(
            securityID: securityID, date: date, open: open, high: high, low: low, close: close, volume: volume)
    }

    private mutating func date(in reader: CSVReader, _ faults: inout FaultCollector) -> TradeDate? {
        switch parseUSDate(reader.field(columns[0])) {
        case .malformed:
            faults.add(reader.fault(columns[0], expected: "a US date with a time, such as 12/31/2012 16:00:00"))
        case .impossible:
            faults.add(reader.fault(columns[0], expected: "a day and a time that exist, month first"))
        case .date(let date):
            if let line = lineOfDay.updateValue(reader.line, forKey: date.dayNumber) {
                lineOfDay[date.dayNumber] = line
                faults.add(
                    reader.fault(columns[0], expected: "each day only once; \(date) already stands in line \(line)"))
            } else {
                return date
            }
        }
        return nil
    }

    private func amount(_ column: Int, in reader: CSVReader, _ faults: inout FaultCollector) -> Price? {
        let field = reader.field(column)
        if let price = Price(decimal: field) {
            if price.ticks > 0 { return price }
            faults.add(reader.fault(column, expected: "a price above 0"))
            return nil
        }
        let isNegative = field.first == UInt8(ascii: "-")
        let digits = isNegative ? field.dropFirst() : field
        let expected =
            switch decimalShape(digits) {
            case .notDecimal: "a price such as 12.50"
            case _ where isNegative: "a price above 0"
            case .decimal(_, let decimals) where decimals > Price.scale: "at most \(Price.scale) decimals"
            case .decimal: "at most 14 digits before the decimal point"
            }
        faults.add(reader.fault(column, expected: expected))
        return nil
    }

    private func volume(in reader: CSVReader, _ faults: inout FaultCollector) -> Int64? {
        let column = columns[5]
        let field = reader.field(column)
        let digits = field.first == UInt8(ascii: "-") ? field.dropFirst() : field
        guard !digits.isEmpty, digits.allSatisfy({ isDigit($0) }) else {
            faults.add(reader.fault(column, expected: "a whole number such as 1200"))
            return nil
        }
        guard let volume = Int64(reader.text(column)) else {
            faults.add(reader.fault(column, expected: "a volume of at most \(Int64.max)"))
            return nil
        }
        if volume < 0 { faults.add(reader.fault(column, expected: "a volume of 0 or more")) }
        return volume < 0 ? nil : volume
    }
}

// MARK: Fields

private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

private enum DecimalShape {
    case notDecimal
    case decimal(wholeDigits: Int, decimals: Int)
}

/// Whether a field that isn't a price is a decimal at all; trailing zeros don't count as decimals.
private func decimalShape(_ field: ArraySlice<UInt8>) -> DecimalShape {
    let parts = field.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isDigit) }) else { return .notDecimal }
    let decimals = parts.count == 2 ? parts[1].reversed().drop { $0 == UInt8(ascii: "0") }.count : 0
    return .decimal(wholeDigits: parts[0].count, decimals: decimals)
}

enum USDate: Equatable {
    case date(TradeDate)
    case malformed
    case impossible
}

/// Reads `12/10/2012 16:00:00`: month first, one or two digits each, any time of day, which is dropped, or none.
func parseUSDate(_ field: ArraySlice<UInt8>) -> USDate {
    let halves = field.split(separator: UInt8(ascii: " "), maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = halves.first, let date = numbers(first, separator: UInt8(ascii: "/"), digits: [2, 2, 4]),
        first.suffix(4).allSatisfy(isDigit), first.count >= 8
    else { return .malformed }
    if halves.count == 2 {
        guard let time = numbers(halves[1], separator: UInt8(ascii: ":"), digits: [2, 2, 2]) else { return .malformed }
        guard time[0] < 24, time[1] < 60, time[2] < 60 else { return .impossible }
    }
    return TradeDate(year: date[2], month: date[0], day: date[1]).map { .date($0) } ?? .impossible
}

/// As many whole numbers as `digits` has entries, none longer than its entry says.
private func numbers(_ field: ArraySlice<UInt8>, separator: UInt8, digits: [Int]) -> [Int]? {
    let parts = field.split(separator: separator, omittingEmptySubsequences: false)
    guard parts.count == digits.count else { return nil }
    var values: [Int] = []
    for (part, limit) in zip(parts, digits) {
        guard !part.isEmpty, part.count <= limit, part.allSatisfy(isDigit) else { return nil }
        values.append(part.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) })
    }
    return values
}
