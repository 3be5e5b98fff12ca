// Where securities come from: a seeded generator or a CSV file. Nothing here touches the database.

public import CSV
public import Diagnostics
import Measurement
import Model

/// Draws securities from a seed, each from its own stream.
public struct SecurityGenerator: Sendable {
    public let seed: UInt64
    public let count: Int

    public init(seed: UInt64, count: Int) {
        self.seed = seed
        self.count = count
    }

    /// The security at `index`, from 0; its key is `index` + 1.
    public func security(at index: Int) -> Security {
        var random = SeededRandom(seed: seed, stream: SecurityGenerator.stream, UInt64(index))
        let sector = Self.sectors[Int(random.integer(in: 0...Int64(Self.sectors.count - 1)))]
        let industry = sector.industries[Int(random.integer(in: 0...Int64(sector.industries.count - 1)))]
        let country = Self.countries[Int(random.integer(in: 0...Int64(Self.countries.count - 1)))]
        let number = String(index + 1)
        let padded = String(repeating: "0", count: max(0, 5 - number.count)) + number
        return Security(
            id: SecurityID(Int64(index + 1)), symbol: "SYN\(padded)", name: "Synthetic \(industry) \(padded)",
            assetClass: "Equity", country: country, sector: sector.name, industry: industry)
    }

    /// Names the table in the streams of a seed, so that no two tables draw the same numbers.
    private static let stream: UInt64 = 0x5345_4355_5249_5459

    private static let sectors: [(name: String, industries: [String])] = [
        ("Technology", ["Semiconductors", "Software", "Computer Hardware"]),
        ("Health Care", ["Biotechnology", "Medical Devices", "Managed Care"]),
        ("Finance", ["Major Banks", "Investment Brokers", "Insurance"]),
        ("Energy", ["Integrated Oil", "Pipelines", "Renewables"]),
        ("Consumer Staples", ["Beverages", "Packaged Food"]),
        ("Consumer Discretionary", ["Restaurants", "Retail", "Automobiles"]),
        ("Industrials", ["Machinery", "Aerospace", "Logistics"]),
        ("Utilities", ["Power Generation", "Water Supply"]),
    ]
    private static let countries = [
        "United States", "United States", "United States", "Germany", "Japan", "Switzerland",
    ]
}

/// A CSV file of securities. Keys are given in the order of its rows, from 1.
public enum SecurityFile {
    /// The columns that are read; others may stand beside them.
    public static let columns = ["asset_class", "symbol", "name", "country", "sector", "industry"]

    /// Reads the whole file. Throws every fault of the file in one error.
    public static func read(path: String) throws(InputError) -> [Security] {
        var faults = FaultCollector()
        let securities = read(path: path, faults: &faults)
        try faults.throwIfAny()
        return securities
    }

    /// Reads the whole file and adds what is wrong with it to `faults`.
    public static func read(path: String, faults: inout FaultCollector) -> [Security] {
        let reader: CSVReader
        let columns: [Int]
        do throws(InputError) {
            do { reader = try CSVReader(path: path) } catch { throw InputError(error) }
            columns = try reader.readHeader(SecurityFile.columns)
        } catch {
            error.faults.forEach { faults.add($0) }
            return []
        }
        return rows(of: reader, columns, &faults)
    }

    private static func rows(
        of reader: CSVReader, _ columns: [Int], _ faults: inout FaultCollector
    ) -> [Security] {
        var securities: [Security] = []
        var lineOfSymbol: [String: Int] = [:]
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
            guard isComplete(reader, columns, &faults) else { continue }
            let symbol = reader.text(columns[1])
            if let line = lineOfSymbol[symbol] {
                faults.add(
                    reader.fault(
                        columns[1], expected: "each symbol only once; this one already stands in line \(line)"))
                continue
            }
            lineOfSymbol[symbol] = reader.line
            securities.append(security(reader, columns, id: securities.count + 1))
        }
        if !hasRows { faults.add(InputFault(source: reader.path, expected: "at least one row after the header")) }
        return securities
    }

    private static func security(_ reader: CSVReader, _ columns: [Int], id: Int) -> Security {
        Security(
            id: SecurityID(Int64(id)), symbol: reader.text(columns[1]), name: reader.text(columns[2]),
            assetClass: reader.text(columns[0]), country: reader.text(columns[3]), sector: reader.text(columns[4]),
            industry: reader.text(columns[5]))
    }

    /// Sector, industry and country may be empty; real files leave them out.
    private static func isComplete(_ reader: CSVReader, _ columns: [Int], _ faults: inout FaultCollector) -> Bool {
        var isComplete = true
        for (column, name) in [(columns[0], "an asset class"), (columns[2], "a name")]
        where reader.field(column).isEmpty {
            faults.add(reader.fault(column, expected: name))
            isComplete = false
        }
        // A symbol names a price file, so it can't hold what a file name can't.
        let symbol = reader.field(columns[1])
        if symbol.isEmpty || symbol.contains(where: { $0 <= UInt8(ascii: " ") || $0 == UInt8(ascii: "/") }) {
            faults.add(reader.fault(columns[1], expected: "a symbol without blanks or slashes"))
            isComplete = false
        }
        return isComplete
    }
}
